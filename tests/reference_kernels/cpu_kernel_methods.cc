// Kernel matrices and sums of kernels.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "tasks/element.h"
#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

using std::numbers::pi;

/// Calls use(i, j) for all points of x and y, row by row.
template <typename Use>
CpuOutputs matrix(const CpuCase& in, Use use) {
  std::vector<double> out;
  for (size_t i = 0; i < in.size("n"); ++i)
    for (size_t j = 0; j < in.size("m"); ++j) out.push_back(use(i, j));
  return {{"out", out}};
}

double dot(const double* a, const double* b, size_t d) {
  double sum = 0;
  for (size_t c = 0; c < d; ++c) sum += a[c] * b[c];
  return sum;
}

double squared_distance(const double* a, const double* b, size_t d) {
  double sum = 0;
  for (size_t c = 0; c < d; ++c) sum += (a[c] - b[c]) * (a[c] - b[c]);
  return sum;
}

CpuOutputs laplace(const CpuCase& in) {
  const double *x = in.tensor("x").data(), *y = in.tensor("y").data();
  const size_t d = in.size("d");
  return matrix(in, [&](size_t i, size_t j) {
    return std::exp(-std::sqrt(squared_distance(x + i * d, y + j * d, d)) / in.scalar("ell"));
  });
}

CpuOutputs relu_tangent_kernel(const CpuCase& in) {
  const double *x = in.tensor("x").data(), *y = in.tensor("y").data();
  const size_t d = in.size("d");
  const double bias = std::pow(in.scalar("beta"), 2);
  return matrix(in, [&](size_t i, size_t j) {
    const auto covariance = [&](const double* a, const double* b) {
      return dot(a, b, d) / double(d) + bias;
    };
    double s = covariance(x + i * d, y + j * d);
    const double sx = covariance(x + i * d, x + i * d), sy = covariance(y + j * d, y + j * d);
    double tangent = s;
    for (size_t layer = 0; layer + 1 < in.size("layers"); ++layer) {
      const double q = std::sqrt((sx + double(layer) * bias) * (sy + double(layer) * bias));
      const double u = q == 0 ? 0 : std::clamp(s / q, -1.0, 1.0);
      const double rest = pi - std::acos(u);
      s = q / pi * (std::sin(rest) + rest * u) + bias;
      tangent = tangent * rest / pi + s;
    }
    return tangent;
  });
}

CpuOutputs erf_kernel(const CpuCase& in) {
  const double *x = in.tensor("x").data(), *y = in.tensor("y").data();
  const size_t d = in.size("d");
  const double sw2 = in.scalar("sw2"), sb2 = in.scalar("sb2");
  return matrix(in, [&](size_t i, size_t j) {
    const auto start = [&](const double* a, const double* b) {
      return sw2 * dot(a, b, d) / double(d) + sb2;
    };
    const auto next = [&](double ab, double aa, double bb) {
      return sw2 * 2 / pi * std::asin(2 * ab / std::sqrt((1 + 2 * aa) * (1 + 2 * bb))) + sb2;
    };
    double s = start(x + i * d, y + j * d);
    double sx = start(x + i * d, x + i * d), sy = start(y + j * d, y + j * d);
    for (size_t layer = 0; layer < in.size("layers"); ++layer) {
      s = next(s, sx, sy);
      sx = next(sx, sx, sx);
      sy = next(sy, sy, sy);
    }
    return s;
  });
}

CpuOutputs squared_discrepancy(const CpuCase& in) {
  const std::vector<double>&x = in.tensor("x"), &y = in.tensor("y");
  const size_t d = in.size("d");
  const auto mean = [&](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i += d)
      for (size_t j = 0; j < b.size(); j += d)
        sum += std::exp(-in.scalar("gamma") * squared_distance(&a[i], &b[j], d));
    return sum / (double(a.size() / d) * double(b.size() / d));
  };
  const double xx = mean(x, x), yy = mean(y, y), xy = mean(x, y);
  return {{"out", {xx, yy, xy, xx + yy - 2 * xy}}};
}

/// Each point's state is built gate by gate: rotations about z, then about x, qubit by qubit.
CpuOutputs covariant_kernel(const CpuCase& in) {
  using Complex = std::complex<double>;
  const std::vector<double>&x = in.tensor("x"), &theta = in.tensor("theta");
  const std::vector<double>& edges = in.tensor("edges");
  const size_t points = in.size("points"), qubits = in.size("qubits"), states = 1ull << qubits;
  std::vector<std::vector<Complex>> phi(points, std::vector<Complex>(states));
  for (size_t i = 0; i < points; ++i) {
    std::vector<Complex>& state = phi[i];
    for (size_t b = 0; b < states; ++b) {
      double amplitude = 1;
      for (size_t k = 0; k < qubits; ++k)
        amplitude *= b >> k & 1 ? std::sin(theta[k] / 2) : std::cos(theta[k] / 2);
      for (size_t e = 0; e < in.size("edge_count"); ++e)
        if ((b >> size_t(edges[2 * e]) & 1) && (b >> size_t(edges[2 * e + 1]) & 1))
          amplitude = -amplitude;
      state[b] = amplitude;
    }
    for (size_t k = 0; k < qubits; ++k) {
      const double angle_x = x[i * 2 * qubits + 2 * k], angle_z = x[i * 2 * qubits + 2 * k + 1];
      for (size_t b = 0; b < states; ++b) {
        if (b >> k & 1) continue;
        const Complex zero = state[b] * std::polar(1.0, angle_z);
        const Complex one = state[b | 1ull << k] * std::polar(1.0, -angle_z);
        const Complex turn(0, std::sin(angle_x));
        state[b] = std::cos(angle_x) * zero + turn * one;
        state[b | 1ull << k] = turn * zero + std::cos(angle_x) * one;
      }
    }
  }
  std::vector<double> out;
  for (size_t i = 0; i < points; ++i)
    for (size_t j = 0; j < points; ++j) {
      Complex overlap = 0;
      for (size_t b = 0; b < states; ++b) overlap += std::conj(phi[i][b]) * phi[j][b];
      out.push_back(std::norm(overlap));
    }
  return {{"out", out}};
}

CpuOutputs cosines(const CpuCase& in) {
  const double* g = in.tensor("g").data();
  const size_t n = in.size("n"), p = in.size("p");
  std::vector<double> out;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      const double lengths =
          std::sqrt(dot(g + i * p, g + i * p, p)) * std::sqrt(dot(g + j * p, g + j * p, p));
      out.push_back(lengths == 0 ? 0 : dot(g + i * p, g + j * p, p) / lengths);
    }
  return {{"out", out}};
}

double rounded_to_bf16(double value) {
  return element::decode(element::kBf16, element::encode(element::kBf16, value));
}

/// What one point leaves in each layer of a network.
struct Trace {
  std::vector<double> a1, a2, d1, d2;
};

Trace trace(const CpuCase& in, const double* x) {
  const size_t d = in.size("d"), h = in.size("h"), outputs = in.size("outputs");
  const double *w1 = in.tensor("w1").data(), *w2 = in.tensor("w2").data();
  Trace t;
  for (size_t u = 0; u < h; ++u)
    t.a1.push_back(rounded_to_bf16(std::max(0.0, dot(w1 + u * d, x, d) + in.tensor("b1")[u])));
  for (size_t u = 0; u < h; ++u) {
    const double z = dot(w2 + u * h, t.a1.data(), h) + in.tensor("b2")[u];
    double logits = 0;
    for (size_t o = 0; o < outputs; ++o) logits += in.tensor("w3")[o * h + u];
    t.a2.push_back(rounded_to_bf16(std::max(0.0, z)));
    t.d2.push_back(z > 0 ? rounded_to_bf16(logits / std::sqrt(static_cast<double>(outputs))) : 0);
  }
  for (size_t u = 0; u < h; ++u) {
    double gradient = 0;
    for (size_t row = 0; row < h; ++row) gradient += w2[row * h + u] * t.d2[row];
    t.d1.push_back(t.a1[u] > 0 ? rounded_to_bf16(gradient) : 0);
  }
  return t;
}

CpuOutputs pseudo_tangent_kernel(const CpuCase& in) {
  const size_t n = in.size("n"), d = in.size("d"), h = in.size("h");
  const double* x = in.tensor("x").data();
  std::vector<Trace> traces;
  for (size_t i = 0; i < n; ++i) traces.push_back(trace(in, x + i * d));
  std::vector<double> k;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      const Trace &a = traces[i], &b = traces[j];
      k.push_back(dot(a.a2.data(), b.a2.data(), h) + 1 +
                  dot(a.d2.data(), b.d2.data(), h) * (dot(a.a1.data(), b.a1.data(), h) + 1) +
                  dot(a.d1.data(), b.d1.data(), h) * (dot(x + i * d, x + j * d, d) + 1));
    }
  return {{"k", k}};
}

}  // namespace

CpuReferences kernel_method_references() {
  return {
      {"laplace-kernel-matrix", laplace},
      {"ntk-relu-gram", relu_tangent_kernel},
      {"nngp-erf-gram", erf_kernel},
      {"mmd-squared-gaussian", squared_discrepancy},
      {"covariant-kernel-matrix", covariant_kernel},
      {"trntk-gram-normalised", cosines},
      {"pntk-mlp-sum-of-logits", pseudo_tangent_kernel},
  };
}

}  // namespace assay

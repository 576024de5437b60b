// Point processes, spectra, rendering, coresets.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

CpuOutputs composite(const CpuCase& in) {
  const std::vector<double>&sigma = in.tensor("sigma"), &z = in.tensor("z");
  const size_t samples = in.size("samples"), channels = in.size("channels");
  std::vector<double> rgb, acc, depth;
  for (size_t r = 0; r < in.size("rays"); ++r) {
    const double norm = in.tensor("dnorm")[r];
    std::vector<double> color(channels, 0.0);
    double behind = 1, weights = 0, depths = 0;
    for (size_t s = 0; s < samples; ++s) {
      const size_t i = r * samples + s;
      const double distance = s + 1 == samples ? 1e10 * norm : 100 * (z[i + 1] - z[i]) * norm;
      const double through = sigma[i] > 0 ? std::exp(-sigma[i] * distance) : 1;
      const double weight = (1 - through) * behind;
      for (size_t c = 0; c < channels; ++c)
        color[c] += weight * in.tensor("color")[i * channels + c];
      weights += weight;
      depths += weight * z[i];
      behind *= through + 1e-10;
    }
    for (const double value : color) rgb.push_back(value + behind);
    acc.push_back(weights);
    depth.push_back(depths);
  }
  return {{"rgb", rgb}, {"acc", acc}, {"depth", depth}};
}

/// A texel's share falls off linearly to 0 at its neighbours, along both axes.
CpuOutputs sample_planes(const CpuCase& in) {
  const std::vector<double>& planes = in.tensor("planes");
  const size_t channels = in.size("channels");
  std::vector<double> features;
  for (size_t p = 0; p < in.size("count"); ++p) {
    const auto place = [&](size_t axis, size_t size) {
      const double g =
          (in.tensor("points")[p * 3 + axis] - in.tensor("centre")[axis]) / in.tensor("half")[axis];
      return (g + 1) / 2 * static_cast<double>(size - 1);
    };
    std::vector<double> sum(channels, 0.0);
    size_t plane = 0;  // its first texel
    for (size_t level = 0; level < in.size("levels"); ++level) {
      const size_t height = in.size("height") << level, width = in.size("width") << level;
      for (const auto& [across, down] : {std::pair<size_t, size_t>{1, 2}, {0, 2}, {0, 1}}) {
        for (size_t y = 0; y < height; ++y)
          for (size_t x = 0; x < width; ++x) {
            const double share =
                std::max(0.0, 1 - std::abs(place(across, width) - static_cast<double>(x))) *
                std::max(0.0, 1 - std::abs(place(down, height) - static_cast<double>(y)));
            if (share == 0) continue;
            for (size_t c = 0; c < channels; ++c)
              sum[c] += share * planes[(plane + y * width + x) * channels + c];
          }
        plane += height * width;
      }
    }
    features.insert(features.end(), sum.begin(), sum.end());
  }
  return {{"features", features}};
}

CpuOutputs lag_correlations(const CpuCase& in) {
  const size_t channels = in.size("channels"), events = in.size("events"), grid = in.size("grid");
  std::vector<std::vector<double>> z(channels, std::vector<double>(grid, 0.0));
  for (size_t i = 0; i < channels * events; ++i)
    z[i / events][static_cast<size_t>(in.tensor("positions")[i])] = in.tensor("counts")[i];
  std::vector<double> phi, pairs;
  for (size_t i = 0; i < channels; ++i)
    for (size_t t = 0; t < in.size("lags"); ++t) {
      double sum = 0;
      for (size_t s = t; s < grid; ++s) sum += z[i][s - t];
      phi.push_back(sum);
    }
  for (size_t i = 0; i < channels; ++i)
    for (size_t j = 0; j < channels; ++j)
      for (size_t t = 0; t < in.size("lags"); ++t) {
        double sum = 0;
        for (size_t s = t; s < grid; ++s) sum += z[i][s] * z[j][s - t];
        pairs.push_back(sum);
      }
  return {{"phi", phi}, {"pairs", pairs}};
}

/// Kernels of all pairs of channels and their derivatives, at all lags.
struct RaisedCosines {
  std::vector<double> k, du, ds;

  explicit RaisedCosines(const CpuCase& in) {
    for (size_t pair = 0; pair < in.tensor("u").size(); ++pair)
      for (size_t t = 0; t < in.size("lags"); ++t) {
        const double gap = static_cast<double>(t) * in.scalar("delta") - in.tensor("u")[pair];
        const double sigma = in.tensor("sig")[pair], phase = M_PI * (gap / sigma - 1);
        const bool inside = gap >= 0 && gap <= 2 * sigma;
        k.push_back(inside ? 1 + std::cos(phase) : 0);
        du.push_back(inside ? M_PI / sigma * std::sin(phase) : 0);
        ds.push_back(gap / sigma * du.back());
      }
  }
};

/// Contracts psi with one row of weights after the other.
CpuOutputs fadin(const CpuCase& in) {
  const size_t c = in.size("channels"), lags = in.size("lags");
  const double delta = in.scalar("delta"), grid = in.scalar("grid");
  const auto &mu = in.tensor("mu"), &phi = in.tensor("phi"), &nc = in.tensor("nc");
  const auto &psi = in.tensor("psi"), &nev = in.tensor("nev"), &alpha = in.tensor("alpha");
  const double n = std::accumulate(nev.begin(), nev.end(), 0.0);
  const RaisedCosines kernels(in);
  CpuOutputs out;
  for (size_t m = 0; m < c; ++m) {
    std::vector<double> weights(c * lags), w(c * lags, 0.0);  // A[m] and W[m]
    for (size_t i = 0; i < c * lags; ++i)
      weights[i] = alpha[m * c + i / lags] * kernels.k[m * c * lags + i];
    for (size_t i = 0; i < psi.size(); ++i) {
      const size_t s = i % lags, t = i / lags % lags, k = i / lags / lags % c;
      const size_t l = i / lags / lags / c;
      w[l * lags + t] += weights[k * lags + s] * psi[i];
    }
    double excited = 0, quadratic = 0;
    for (size_t i = 0; i < c * lags; ++i) {
      excited += weights[i] * phi[i];
      quadratic += weights[i] * (delta * w[i] - 2 * nc[m * c * lags + i]);
    }
    out["loss"].push_back((delta * grid * mu[m] * mu[m] + 2 * delta * mu[m] * excited -
                           2 * mu[m] * nev[m] + quadratic) /
                          n);
    out["gmu"].push_back(2 / n * (delta * grid * mu[m] + delta * excited - nev[m]));
    for (size_t l = 0; l < c; ++l) {
      double by_alpha = 0, by_u = 0, by_sigma = 0;
      for (size_t t = 0; t < lags; ++t) {
        const size_t at = (m * c + l) * lags + t;
        const double r = delta * mu[m] * phi[l * lags + t] + delta * w[l * lags + t] - nc[at];
        by_alpha += kernels.k[at] * r;
        by_u += kernels.du[at] * r;
        by_sigma += kernels.ds[at] * r;
      }
      out["galpha"].push_back(2 / n * by_alpha);
      out["gu"].push_back(2 / n * alpha[m * c + l] * by_u);
      out["gsig"].push_back(2 / n * alpha[m * c + l] * by_sigma);
    }
  }
  return out;
}

using Matrix = std::vector<std::vector<double>>;

/// Ascending, by rotations through half of the angle that the 2 x 2 problem of each pair has.
std::vector<double> eigenvalues_of(Matrix m) {
  const size_t n = m.size();
  for (int sweep = 0; sweep < 30; ++sweep)
    for (size_t r = 0; r < n; ++r)
      for (size_t c = r + 1; c < n; ++c) {
        const double angle = 0.5 * std::atan2(2 * m[r][c], m[c][c] - m[r][r]);
        const auto turn = [&](double& x, double& y) {
          const double old = x;
          x = std::cos(angle) * old - std::sin(angle) * y;
          y = std::sin(angle) * old + std::cos(angle) * y;
        };
        for (size_t k = 0; k < n; ++k) turn(m[k][r], m[k][c]);
        for (size_t k = 0; k < n; ++k) turn(m[r][k], m[c][k]);
      }
  std::vector<double> values;
  for (size_t k = 0; k < n; ++k) values.push_back(m[k][k]);
  std::ranges::sort(values);
  return values;
}

double norm_of(const Matrix& m) {
  double squares = 0;
  for (const auto& row : m) squares += std::inner_product(row.begin(), row.end(), row.begin(), 0.0);
  return std::sqrt(squares);
}

Matrix product(const Matrix& a, const Matrix& b) {
  const size_t n = a.size();
  Matrix result(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      for (size_t k = 0; k < n; ++k) result[i][j] += a[i][k] * b[k][j];
  return result;
}

/// The evidence of what reference.cu wrote. Its eigenvalues must be those found here, and what its
/// vectors miss may come from rounding them to f32, else 0 is expected.
CpuOutputs eigen_evidence(const CpuCase& in) {
  const size_t batch = in.size("batch"), n = in.size("n");
  const auto rounding = [](double error) { return error < 1e-6 ? error : 0; };
  CpuOutputs evidence{{"descents", std::vector<double>(batch)}};
  for (size_t b = 0; b < batch; ++b) {
    Matrix a(n, std::vector<double>(n)), v = a, transposed = a;
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) {
        a[i][j] = in.tensor("A")[(b * n + std::max(i, j)) * n + std::min(i, j)];
        v[i][j] = transposed[j][i] = in.tensor("V")[(b * n + i) * n + j];
      }
    const double norm = norm_of(a) > 0 ? norm_of(a) : 1e-30;
    for (const double value : eigenvalues_of(a))
      evidence["eigenvalues"].push_back(static_cast<float>(value) / norm);
    Matrix residual = product(a, v), gram = product(transposed, v);
    for (size_t i = 0; i < n; ++i) {
      gram[i][i] -= 1;
      for (size_t j = 0; j < n; ++j) residual[i][j] -= v[i][j] * in.tensor("w")[b * n + j];
    }
    evidence["residual"].push_back(rounding(norm_of(residual) / norm));
    evidence["orthogonality"].push_back(rounding(norm_of(gram) / std::sqrt(double(n))));
  }
  return evidence;
}

}  // namespace

CpuReferences science_references() {
  return {{"volume-render-composite", composite},
          {"triplane-pyramid-sample", sample_planes},
          {"hawkes-lag-correlations", lag_correlations},
          {"fadin-loss-grad-raised-cosine", fadin},
          {"batched-symmetric-eigh-jacobi", eigen_evidence}};
}

}  // namespace assay

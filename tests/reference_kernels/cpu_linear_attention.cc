// Linear attention with decays, and recurrent networks.
#include <algorithm>
#include <cmath>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

/// By the recurrence; the kernel's oracle sums over pairs of tokens.
CpuOutputs lightning(const CpuCase& in) {
  const size_t length = in.size("length"), dim = in.size("dim"), values = in.size("values");
  std::vector<double> o;
  for (size_t head = 0; head < in.size("batch") * in.size("heads"); ++head) {
    const double decay = std::exp(-in.tensor("slopes")[head % in.size("heads")]);
    std::vector<double> state(dim * values, 0.0);
    for (size_t row = head * length; row < (head + 1) * length; ++row)
      for (size_t e = 0; e < values; ++e) {
        double sum = 0;
        for (size_t d = 0; d < dim; ++d) {
          double& s = state[d * values + e];
          s = decay * s + in.tensor("k")[row * dim + d] * in.tensor("v")[row * values + e];
          sum += in.tensor("q")[row * dim + d] * s;
        }
        o.push_back(sum);
      }
  }
  return {{"o", o}};
}

/// By the recurrence; the kernel's oracle sums over pairs of tokens.
CpuOutputs state_space(const CpuCase& in) {
  constexpr size_t kDim = 64;
  const size_t length = in.size("length"), heads = in.size("heads");
  std::vector<double> o;
  for (size_t head = 0; head < in.size("batch") * heads; ++head) {
    std::vector<double> state(kDim * kDim, 0.0);
    for (size_t t = 0; t < length; ++t) {
      const size_t row = head * length + t, shared_row = head / heads * length + t;
      const double decay = std::exp(in.tensor("a")[row]);
      for (size_t e = 0; e < kDim; ++e) {
        double sum = 0;
        for (size_t d = 0; d < kDim; ++d) {
          double& s = state[d * kDim + e];
          s = decay * s + in.tensor("b")[shared_row * kDim + d] * in.tensor("x")[row * kDim + e];
          sum += in.tensor("c")[shared_row * kDim + d] * s;
        }
        o.push_back(sum);
      }
    }
  }
  return {{"o", o}};
}

/// Sums over pairs of tokens; the kernel's oracle follows the recurrence.
CpuOutputs gated_sequence(const CpuCase& in) {
  const size_t length = in.size("length"), heads = in.size("heads"), keys = in.size("keys");
  const size_t values = in.size("values"), batch = in.size("batch");
  std::vector<double> o(batch * length * heads * values), ht(batch * heads * keys * values);
  for (size_t b = 0; b < batch; ++b)
    for (size_t h = 0; h < heads; ++h) {
      const auto row = [&](size_t t) { return (b * length + t) * heads + h; };
      const size_t first = (b * heads + h) * keys;
      for (size_t t = 0; t < length; ++t) {
        std::vector<double> decays(keys, 0.0);  // logarithms, from after s up to t
        for (size_t s = t + 1; s-- > 0;) {
          double weight = 0;
          for (size_t d = 0; d < keys; ++d) {
            const double faded = in.tensor("k")[row(s) * keys + d] * std::exp(decays[d]);
            weight += in.tensor("q")[row(t) * keys + d] * faded;
            if (t + 1 == length)
              for (size_t e = 0; e < values; ++e)
                ht[(first + d) * values + e] += faded * in.tensor("v")[row(s) * values + e];
            decays[d] += in.tensor("g")[row(s) * keys + d];
          }
          for (size_t e = 0; e < values; ++e)
            o[row(t) * values + e] += weight * in.tensor("v")[row(s) * values + e];
        }
        for (size_t d = 0; d < keys; ++d)
          for (size_t e = 0; e < values; ++e) {
            const double faded = std::exp(decays[d]) * in.tensor("h0")[(first + d) * values + e];
            o[row(t) * values + e] += in.tensor("q")[row(t) * keys + d] * faded;
            if (t + 1 == length) ht[(first + d) * values + e] += faded;
          }
        for (size_t e = 0; e < values; ++e)
          o[row(t) * values + e] /= std::sqrt(static_cast<double>(keys));
      }
    }
  return {{"o", o}, {"ht", ht}};
}

struct Gates {
  double i, f, z, o;
};

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

/// Inputs of the gates of hidden unit n * dim + unit: from the sequence, the last hidden state and
/// the bias.
Gates gate_inputs(const CpuCase& in, size_t b, size_t t, size_t n, size_t unit,
                  const std::vector<double>& hidden) {
  const size_t heads = in.size("heads"), dim = in.size("dim"), width = heads * dim;
  double gates[4];
  for (size_t g = 0; g < 4; ++g) {
    gates[g] = in.tensor("wx")[((b * in.size("length") + t) * 4 + g) * width + n * dim + unit] +
               in.tensor("bias")[g * width + n * dim + unit];
    for (size_t i = 0; i < dim; ++i)
      gates[g] += in.tensor("r")[((g * heads + n) * dim + unit) * dim + i] * hidden[n * dim + i];
  }
  return {gates[0], gates[1], gates[2], gates[3]};
}

CpuOutputs lstm(const CpuCase& in) {
  const size_t heads = in.size("heads"), dim = in.size("dim"), width = heads * dim;
  std::vector<double> h, c;
  for (size_t b = 0; b < in.size("batch"); ++b) {
    std::vector<double> hidden(width), cell(width);
    for (size_t j = 0; j < width; ++j) {
      hidden[j] = in.tensor("h0")[b * width + j];
      cell[j] = in.tensor("c0")[b * width + j];
    }
    for (size_t t = 0; t < in.size("length"); ++t) {
      std::vector<double> next(width);
      for (size_t j = 0; j < width; ++j) {
        const Gates a = gate_inputs(in, b, t, j / dim, j % dim, hidden);
        cell[j] = logistic(a.f) * cell[j] + logistic(a.i) * std::tanh(a.z);
        next[j] = logistic(a.o) * std::tanh(cell[j]);
      }
      hidden = next;
      h.insert(h.end(), hidden.begin(), hidden.end());
      c.insert(c.end(), cell.begin(), cell.end());
    }
  }
  return {{"h", h}, {"c", c}};
}

CpuOutputs slstm(const CpuCase& in) {
  const size_t heads = in.size("heads"), dim = in.size("dim"), width = heads * dim;
  CpuOutputs out;
  for (size_t b = 0; b < in.size("batch"); ++b) {
    std::vector<double> hidden(width), c(width), n(width), m(width);
    for (size_t t = 0; t < in.size("length"); ++t) {
      std::vector<double> next(width);
      for (size_t j = 0; j < width; ++j) {
        const Gates a = gate_inputs(in, b, t, j / dim, j % dim, hidden);
        const double kept = m[j] + std::log(logistic(a.f));
        const double now = t == 0 ? a.i : std::max(a.i, kept);
        const double stay = t == 0 ? 0 : std::exp(kept - now), gain = std::exp(a.i - now);
        c[j] = stay * c[j] + gain * std::tanh(a.z);
        n[j] = std::max(stay * n[j] + gain, 1.0);
        m[j] = now;
        next[j] = logistic(a.o) * c[j] / n[j];
      }
      hidden = next;
      out["h"].insert(out["h"].end(), hidden.begin(), hidden.end());
    }
    out["c"].insert(out["c"].end(), c.begin(), c.end());
    out["n"].insert(out["n"].end(), n.begin(), n.end());
    out["m"].insert(out["m"].end(), m.begin(), m.end());
  }
  return out;
}

}  // namespace

CpuReferences linear_attention_references() {
  return {{"lightning2-attn-fwd", lightning},
          {"tk-mamba2-ssd", state_space},
          {"gla-chunk-fwd", gated_sequence},
          {"flashrnn-lstm-fwd", lstm},
          {"flashrnn-slstm-fwd", slstm}};
}

}  // namespace assay

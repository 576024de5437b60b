// Attention over all, some or listed tokens.
#include <algorithm>
#include <cmath>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

double dot(const double* a, const double* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// A query against rows of keys and values, given by pointers.
struct Attended {
  std::vector<double> o;
  double lse = 0;
};
Attended attend(const double* query, const std::vector<const double*>& keys,
                const std::vector<const double*>& values, size_t dim) {
  std::vector<double> scores;
  for (const double* key : keys)
    scores.push_back(dot(query, key, dim) / std::sqrt(static_cast<double>(dim)));
  Attended result;
  result.o.assign(dim, 0.0);
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double s : scores) sum += std::exp(s - largest);
  result.lse = largest + std::log(sum);
  for (size_t j = 0; j < keys.size(); ++j)
    for (size_t d = 0; d < dim; ++d) result.o[d] += std::exp(scores[j] - result.lse) * values[j][d];
  return result;
}

CpuOutputs grouped_attention(const CpuCase& in) {
  const size_t length = in.size("length"), dim = in.size("dim"), heads = in.size("heads");
  const size_t kv_heads = in.size("kv_heads");
  std::vector<double> o, lse;
  for (size_t head = 0; head < in.size("batch") * heads; ++head)
    for (size_t i = 0; i < length; ++i) {
      const size_t kv = head / heads * kv_heads + head % heads / (heads / kv_heads);
      std::vector<const double*> keys, values;
      for (size_t j = 0; j < (in.scalar("causal") == 1 ? i + 1 : length); ++j) {
        keys.push_back(&in.tensor("k")[(kv * length + j) * dim]);
        values.push_back(&in.tensor("v")[(kv * length + j) * dim]);
      }
      const Attended row = attend(&in.tensor("q")[(head * length + i) * dim], keys, values, dim);
      o.insert(o.end(), row.o.begin(), row.o.end());
      lse.push_back(row.lse);
    }
  return {{"o", o}, {"lse", lse}};
}

/// Rows of keys and values, collected for one query.
struct Rows {
  std::vector<const double*> keys, values;

  void add(const CpuCase& in, const char* key, const char* value, size_t row, size_t dim) {
    keys.push_back(&in.tensor(key)[row * dim]);
    values.push_back(&in.tensor(value)[row * dim]);
  }
};

CpuOutputs compact_decode(const CpuCase& in) {
  const size_t heads = in.size("heads"), kv_heads = in.size("kv_heads"), dim = in.size("dim");
  const size_t window = in.size("window"), slots = window + in.size("kept");
  std::vector<double> o;
  for (size_t head = 0; head < in.size("batch") * heads; ++head) {
    const size_t b = head / heads, g = head % heads / (heads / kv_heads);
    const double blank = in.tensor("blank_start")[b], length = in.tensor("blank_len")[b];
    Rows rows;
    for (size_t slot = 0; slot < slots; ++slot) {
      const auto place = static_cast<double>(slot);
      const bool in_blank = place >= blank && place < blank + length;
      const bool valid = slot < window ? !in_blank
                                       : static_cast<double>(slot - window) <
                                             in.tensor("past_len")[b * kv_heads + g];
      if (valid) rows.add(in, "kc", "vc", (b * slots + slot) * kv_heads + g, dim);
    }
    const Attended result = attend(&in.tensor("q")[head * dim], rows.keys, rows.values, dim);
    o.insert(o.end(), result.o.begin(), result.o.end());
  }
  return {{"o", o}};
}

CpuOutputs retrieved_decode(const CpuCase& in) {
  const size_t heads = in.size("heads"), kv_heads = in.size("kv_heads"), dim = in.size("dim");
  const size_t sinks = in.size("sinks"), local = in.size("local"), budget = in.size("budget");
  std::vector<double> o;
  for (size_t head = 0; head < in.size("batch") * heads; ++head) {
    const size_t b = head / heads, g = head % heads / (heads / kv_heads);
    const auto length = static_cast<size_t>(in.tensor("seqlen")[b]);
    const bool all = length <= sinks + local;
    Rows rows;
    const auto add = [&](size_t token) {
      rows.add(in, "k", "v", (b * in.size("length") + token) * kv_heads + g, dim);
    };
    for (size_t token = 0; token < length; ++token)
      if (all || token < sinks || token >= length - local) add(token);
    for (size_t i = 0; !all && i < static_cast<size_t>(in.tensor("nsel")[b * kv_heads + g]); ++i)
      add(static_cast<size_t>(in.tensor("list")[(b * kv_heads + g) * budget + i]));
    const Attended result = attend(&in.tensor("q")[head * dim], rows.keys, rows.values, dim);
    o.insert(o.end(), result.o.begin(), result.o.end());
  }
  return {{"o", o}};
}

CpuOutputs retained_prefill(const CpuCase& in) {
  const size_t heads = in.size("heads"), kv_heads = in.size("kv_heads"), dim = in.size("dim");
  const size_t length = in.size("length"), window = in.size("window"), kept = in.size("kept");
  std::vector<double> o, lse(in.size("batch") * heads * length);
  for (size_t row = 0; row < in.size("batch") * length * heads; ++row) {
    const size_t b = row / heads / length, t = row / heads % length, h = row % heads;
    const size_t g = h / (heads / kv_heads);
    Rows rows;
    for (size_t j = 0; j <= t; ++j)
      if (j + window > t) rows.add(in, "k", "v", (b * length + j) * kv_heads + g, dim);
    for (size_t m = 0; m < static_cast<size_t>(in.tensor("cnt")[b * kv_heads + g]); ++m)
      if (in.tensor("idx")[(b * kv_heads + g) * kept + m] + static_cast<double>(window) <=
          static_cast<double>(t))
        rows.add(in, "kp", "vp", (b * kept + m) * kv_heads + g, dim);
    const Attended result = attend(&in.tensor("q")[row * dim], rows.keys, rows.values, dim);
    o.insert(o.end(), result.o.begin(), result.o.end());
    lse[(b * heads + h) * length + t] = result.lse;
  }
  return {{"o", o}, {"lse", lse}};
}

/// The result over the listed keys alone, merged with the partial one by their weights.
CpuOutputs merged_attention(const CpuCase& in) {
  const size_t queries = in.size("queries"), dim = in.size("dim"), length = in.size("length");
  std::vector<double> o;
  for (size_t row = 0; row < in.size("heads") * queries; ++row) {
    const size_t h = row / queries;
    Rows rows;
    for (size_t j = 0; j < static_cast<size_t>(in.tensor("klen")[h]); ++j) {
      const auto key = static_cast<size_t>(in.tensor("kidx")[h * in.size("most") + j]);
      rows.add(in, "k", "v", h * length + key, dim);
    }
    double share = 0;  // of the listed keys
    Attended listed;
    if (!rows.keys.empty()) {
      listed = attend(&in.tensor("q")[row * dim], rows.keys, rows.values, dim);
      const double partial = in.tensor("m0")[row] + std::log(in.tensor("l0")[row]);
      share = 1 / (1 + std::exp(partial - listed.lse));
    }
    for (size_t d = 0; d < dim; ++d)
      o.push_back((1 - share) * in.tensor("o0")[row * dim + d] +
                  (share > 0 ? share * listed.o[d] : 0));
  }
  return {{"o", o}};
}

CpuOutputs tree_attention(const CpuCase& in) {
  const size_t heads = in.size("heads"), dim = in.size("dim"), length = in.size("length");
  std::vector<double> o;
  for (size_t row = 0; row < in.size("nodes") * heads; ++row) {
    Rows rows;
    for (size_t j = 0; j < length; ++j) rows.add(in, "k", "v", j * heads + row % heads, dim);
    for (auto node = static_cast<int>(row / heads); node >= 0;
         node = static_cast<int>(in.tensor("parent")[static_cast<size_t>(node)]))
      rows.add(in, "k", "v", (length + static_cast<size_t>(node)) * heads + row % heads, dim);
    const Attended result = attend(&in.tensor("q")[row * dim], rows.keys, rows.values, dim);
    o.insert(o.end(), result.o.begin(), result.o.end());
  }
  return {{"o", o}};
}

/// tau by bisection.
CpuOutputs entmax_attention(const CpuCase& in) {
  const size_t length = in.size("length"), dim = in.size("dim"), heads = in.size("heads");
  const double order = in.scalar("order");
  std::vector<double> o, taus;
  for (size_t head = 0; head < in.size("batch") * heads; ++head)
    for (size_t i = 0; i < length; ++i) {
      const auto own = static_cast<size_t>(in.tensor("lengths")[head / heads]);
      const size_t count = i >= own ? 0 : in.scalar("causal") == 1 ? i + 1 : own;
      std::vector<double> z, sums(dim, 0.0);
      for (size_t j = 0; j < count; ++j)
        z.push_back(dot(&in.tensor("q")[(head * length + i) * dim],
                        &in.tensor("k")[(head * length + j) * dim], dim) /
                    (std::sqrt(static_cast<double>(dim)) * order));
      const double largest = count == 0 ? 0 : *std::max_element(z.begin(), z.end());
      const auto share = [&](size_t j, double tau) {
        return std::pow(std::max(0.0, z[j] - tau), order);
      };
      double low = largest - 1, high = largest;
      for (int step = 0; step < 60; ++step) {
        const double middle = (low + high) / 2;
        double sum = 0;
        for (size_t j = 0; j < count; ++j) sum += share(j, middle);
        (sum >= 1 ? low : high) = middle;
      }
      for (size_t j = 0; j < count; ++j)
        for (size_t d = 0; d < dim; ++d)
          sums[d] += share(j, low) * in.tensor("v")[(head * length + j) * dim + d];
      o.insert(o.end(), sums.begin(), sums.end());
      taus.push_back(count == 0 ? 0 : low);
    }
  return {{"o", o}, {"tau", taus}};
}

}  // namespace

CpuReferences attention_references() {
  return {
      {"tk-attn-fwd", grouped_attention},
      {"entmax-attn-fwd", entmax_attention},
      {"lte-decode-attn", compact_decode},
      {"louiskv-gather-attn", retrieved_decode},
      {"lte-sparse-prefill", retained_prefill},
      {"squeezed-sparse-attn", merged_attention},
      {"triforce-tree-verify-attn", tree_attention},
  };
}

}  // namespace assay

// Attention to pairs of keys.
#include <algorithm>
#include <cmath>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

/// Two keys that a head of a token sees.
struct Pair {
  size_t token, head;            // token: over all sequences
  size_t first_row, second_row;  // element offsets into keys and values
};

/// Calls use(pair) for all tokens, heads and pairs that they see.
template <typename Use>
void for_pairs(const CpuCase& in, Use use) {
  const size_t length = in.size("length"), heads = in.size("heads"), dim = in.size("dim");
  const size_t kv_heads = in.size("kv_heads");
  const size_t window1 = in.size("window1"), window2 = in.size("window2");
  for (size_t b = 0; b < in.size("batch"); ++b)
    for (size_t i = 0; i < length; ++i)
      for (size_t h = 0; h < heads; ++h)
        for (size_t j = i - std::min(i, window1 - 1); j <= i; ++j)
          for (size_t k = i - std::min(i, window2 - 1); k <= i; ++k) {
            const size_t m = h / (heads / kv_heads);
            const size_t first = ((b * length + j) * kv_heads + m) * dim;
            const size_t second = ((b * length + k) * kv_heads + m) * dim;
            use(Pair{b * length + i, h, first, second});
          }
}

/// Sum over d of a[d] * b[d] * c[d].
double product(const double* a, const double* b, const double* c, size_t dim) {
  double sum = 0;
  for (size_t d = 0; d < dim; ++d) sum += a[d] * b[d] * c[d];
  return sum;
}

double score(const CpuCase& in, const Pair& pair) {
  const size_t dim = in.size("dim");
  return product(&in.tensor("q")[(pair.token * in.size("heads") + pair.head) * dim],
                 &in.tensor("k1")[pair.first_row], &in.tensor("k2")[pair.second_row], dim) /
         std::sqrt(static_cast<double>(dim));
}

/// Position of a token's head in tensors of batch x heads x length.
size_t by_head(const CpuCase& in, const Pair& pair) {
  const size_t length = in.size("length");
  return (pair.token / length * in.size("heads") + pair.head) * length + pair.token % length;
}

CpuOutputs pair_attention(const CpuCase& in) {
  const size_t dim = in.size("dim"), rows = in.size("batch") * in.size("length") * in.size("heads");
  std::vector<double> o(rows * dim), largest(rows, -INFINITY), lse(rows);
  for_pairs(in, [&](const Pair& pair) {
    double& most = largest[by_head(in, pair)];
    most = std::max(most, score(in, pair));
  });
  for_pairs(in, [&](const Pair& pair) {
    lse[by_head(in, pair)] += std::exp(score(in, pair) - largest[by_head(in, pair)]);
  });
  for (size_t i = 0; i < rows; ++i) lse[i] = largest[i] + std::log(lse[i]);
  for_pairs(in, [&](const Pair& pair) {
    const double weight = std::exp(score(in, pair) - lse[by_head(in, pair)]);
    for (size_t d = 0; d < dim; ++d)
      o[(pair.token * in.size("heads") + pair.head) * dim + d] +=
          weight * in.tensor("v1")[pair.first_row + d] * in.tensor("v2")[pair.second_row + d];
  });
  return {{"o", o}, {"lse", lse}};
}

CpuOutputs first_key_gradients(const CpuCase& in) {
  const size_t dim = in.size("dim");
  std::vector<double> dk1(in.tensor("k1").size()), dv1(dk1.size());
  for_pairs(in, [&](const Pair& pair) {
    const size_t row = (pair.token * in.size("heads") + pair.head) * dim;
    const double* gradient = &in.tensor("dout")[row];
    const double weight = std::exp(score(in, pair) - in.tensor("lse")[by_head(in, pair)]);
    const double of_weight =
        product(gradient, &in.tensor("v1")[pair.first_row], &in.tensor("v2")[pair.second_row], dim);
    const double of_score = weight * (of_weight - in.tensor("delta")[by_head(in, pair)]);
    for (size_t d = 0; d < dim; ++d) {
      dv1[pair.first_row + d] += weight * gradient[d] * in.tensor("v2")[pair.second_row + d];
      dk1[pair.first_row + d] += of_score * in.tensor("q")[row + d] *
                                 in.tensor("k2")[pair.second_row + d] /
                                 std::sqrt(static_cast<double>(dim));
    }
  });
  return {{"dk1", dk1}, {"dv1", dv1}};
}

}  // namespace

CpuReferences pair_attention_references() {
  return {{"simplicial2-attn-fwd", pair_attention},
          {"simplicial2-attn-bwd-dkv1", first_key_gradients}};
}

}  // namespace assay

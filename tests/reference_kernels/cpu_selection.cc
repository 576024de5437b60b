// Selection, decoding, halving and small spectra.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

namespace {

/// The numbers 0 ... n - 1, the best first; the smaller number first where scores are equal.
std::vector<size_t> ranked(const std::vector<double>& scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  return order;
}

CpuOutputs evict(const CpuCase& in) {
  const size_t length = in.size("length"), heads = in.size("heads"), dim = in.size("dim");
  const size_t most = in.size("most"), batch = in.size("batch"), window = in.size("window");
  const size_t candidates = length > window ? length - window : 0;
  std::vector<double> idx(batch * heads * most, static_cast<double>(length)), cnt;
  std::vector<double> kc(batch * most * heads * dim, 0.0), vc = kc;
  for (size_t row = 0; row < batch * heads; ++row) {
    const size_t b = row / heads, h = row % heads;
    std::vector<double> scores;
    for (size_t t = 0; t < candidates; ++t)
      scores.push_back(t < in.size("sink") ? INFINITY
                                           : in.tensor("score")[(b * length + t) * heads + h]);
    std::vector<size_t> chosen;
    for (const size_t t : ranked(scores))
      if (scores[t] > 0 && chosen.size() < most) chosen.push_back(t);
    std::ranges::sort(chosen);
    cnt.push_back(static_cast<double>(chosen.size()));
    for (size_t m = 0; m < chosen.size(); ++m) {
      idx[row * most + m] = static_cast<double>(chosen[m]);
      for (size_t d = 0; d < dim; ++d) {
        const size_t from = ((b * length + chosen[m]) * heads + h) * dim + d;
        kc[((b * most + m) * heads + h) * dim + d] = in.tensor("k")[from];
        vc[((b * most + m) * heads + h) * dim + d] = in.tensor("v")[from];
      }
    }
  }
  return {{"idx", idx}, {"cnt", cnt}, {"kc", kc}, {"vc", vc}};
}

CpuOutputs retrieve(const CpuCase& in) {
  const size_t heads = in.size("heads"), dim = in.size("dim"), chunk = in.size("chunk");
  const size_t most = in.size("most"), chunks = in.size("length") / chunk;
  std::vector<double> sel, kr(most * chunk * heads * dim), vr = kr;
  for (size_t h = 0; h < heads; ++h) {
    std::vector<double> scores(chunks, 0.0);
    for (size_t row = 0; row < chunks * chunk; ++row)
      for (size_t d = 0; d < dim; ++d)
        scores[row / chunk] +=
            in.tensor("q")[h * dim + d] * in.tensor("k")[(row * heads + h) * dim + d];
    scores[0] = INFINITY;
    std::vector<size_t> chosen = ranked(scores);
    chosen.resize(most);
    std::ranges::sort(chosen);
    for (size_t m = 0; m < most; ++m) {
      sel.push_back(static_cast<double>(chosen[m]));
      for (size_t i = 0; i < chunk * dim; ++i) {
        const size_t from = ((chosen[m] * chunk + i / dim) * heads + h) * dim + i % dim;
        const size_t to = ((m * chunk + i / dim) * heads + h) * dim + i % dim;
        kr[to] = in.tensor("k")[from];
        vr[to] = in.tensor("v")[from];
      }
    }
  }
  return {{"sel", sel}, {"kr", kr}, {"vr", vr}};
}

CpuOutputs kmeans_step(const CpuCase& in) {
  const size_t dim = in.size("dim"), clusters = in.size("clusters"), length = in.size("length");
  const std::vector<double>&key = in.tensor("key"), &cen = in.tensor("cen");
  std::vector<double> label, cnt(in.size("heads") * clusters, 0.0), newcen(cen.size(), 0.0);
  for (size_t row = 0; row < in.size("heads") * length; ++row) {
    const size_t first = row / length * clusters;  // the head's first centroid
    std::vector<double> nearness(clusters, 0.0);
    for (size_t c = 0; c < clusters; ++c)
      for (size_t d = 0; d < dim; ++d)
        nearness[c] -= std::pow(key[row * dim + d] - cen[(first + c) * dim + d], 2);
    const size_t best = ranked(nearness)[0];
    label.push_back(static_cast<double>(best));
    ++cnt[first + best];
    for (size_t d = 0; d < dim; ++d) newcen[(first + best) * dim + d] += key[row * dim + d];
  }
  for (size_t i = 0; i < newcen.size(); ++i)
    newcen[i] = cnt[i / dim] > 0 ? newcen[i] / cnt[i / dim] : cen[i];
  return {{"label", label}, {"cnt", cnt}, {"newcen", newcen}};
}

CpuOutputs decode_numbers(const CpuCase& in) {
  const size_t samples = in.size("samples"), places = in.size("places");
  CpuOutputs out;
  for (size_t b = 0; b < in.size("batch"); ++b) {
    std::vector<double> values;
    for (size_t at = b * samples; at < (b + 1) * samples; ++at) {
      std::string text = in.tensor("signs")[at] == 1 ? "-" : "+";
      for (size_t i = 0; i < places; ++i)
        text += static_cast<char>('0' + in.tensor("digits")[at * places + i] - 2);
      const int exponent = static_cast<int>(in.tensor("exponents")[at] - 12 - in.scalar("range"));
      values.push_back(std::stod(text) * std::stod("1e" + std::to_string(exponent)));
    }
    out["values"].insert(out["values"].end(), values.begin(), values.end());
    out["means"].push_back(std::accumulate(values.begin(), values.end(), 0.0) /
                           static_cast<double>(samples));
    std::ranges::sort(values);
    out["medians"].push_back((values[(samples - 1) / 2] + values[samples / 2]) / 2);
  }
  return out;
}

/// With running sums over all points; the kernel's oracle adds up anew for each pair.
CpuOutputs halve(const CpuCase& in) {
  const size_t n = in.size("points"), dim = in.size("dim");
  std::vector<double> halves(in.size("batch") * n);
  for (size_t set = 0; set < in.size("batch"); ++set) {
    const double* x = &in.tensor("x")[set * n * dim];
    const auto kernel = [&](size_t a, size_t b) {
      double squares = 0;
      for (size_t d = 0; d < dim; ++d) squares += std::pow(x[a * dim + d] - x[b * dim + d], 2);
      return std::exp(-in.scalar("gamma") * squares);
    };
    const double factor = 2 * std::log(2 * static_cast<double>(n) / in.scalar("delta"));
    std::vector<double> sums(n, 0.0);
    double variance = 0;
    for (size_t i = 0; i < n / 2; ++i) {
      const size_t a = 2 * i, b = a + 1;
      const double gap = kernel(a, a) - 2 * kernel(a, b) + kernel(b, b);
      double threshold = std::max(std::sqrt(variance * gap * factor), gap);
      if (variance == 0)
        variance = gap;
      else if (threshold != 0)
        variance += gap * std::max(0.0, 1 + (gap / threshold - 2) * variance / threshold);
      if (threshold == 0) threshold = 1;
      const bool exchanged =
          in.tensor("u")[set * n / 2 + i] <= 0.5 * (1 - (sums[a] - sums[b]) / threshold);
      const size_t low = exchanged ? b : a, high = exchanged ? a : b;
      halves[set * n + i] = static_cast<double>(low);
      halves[set * n + n / 2 + i] = static_cast<double>(high);
      for (size_t p = 0; p < n; ++p) sums[p] += kernel(p, high) - kernel(p, low);
    }
  }
  return {{"halves", halves}};
}

using Matrix = std::array<std::array<double, 5>, 5>;

Matrix higgs_matrix(const CpuCase& in, size_t i) {
  const double ve = in.tensor("ve")[i], vr = in.tensor("vr")[i], vc = in.tensor("vc")[i];
  const double vd = in.tensor("vd")[i], vs = in.tensor("vs")[i], f = in.tensor("f")[i];
  const double m1 = in.tensor("m1")[i];
  const auto l = [&](size_t k) { return in.tensor("l")[(k - 1) * in.size("points") + i]; };
  const double kq =
      m1 * ve * ve / vd + 2 * l(10) * (vs * vs - vd * vd) + l(15) * vc * vc - l(16) * ve * ve;
  Matrix m{};
  m[0] = {2 * l(1) * vc * vc + f * ve * vr / (2 * vc), l(4) * vc * ve - f * vr / 2,
          l(5) * vc * vr - f * ve / 2, l(14) * vc * vd,
          vc * ((l(14) + l(15)) * vs - vs / (vc * vc) * kq)};
  m[1] = {0, 2 * l(2) * ve * ve + f * vc * vr / (2 * ve), l(6) * ve * vr - f * vc / 2,
          ve * ((l(12) + l(16)) * vd - m1), l(12) * ve * vs};
  m[2] = {0, 0, 2 * l(3) * vr * vr + f * vc * ve / (2 * vr), l(13) * vd * vr, l(13) * vr * vs};
  m[3] = {0, 0, 0, 2 * (l(10) + l(11)) * vd * vd + m1 * ve * ve / (2 * vd), 2 * l(11) * vd * vs};
  m[4] = {0, 0, 0, 0, 2 * (l(10) + l(11)) * vs * vs + kq / 2};
  for (size_t r = 0; r < 5; ++r)
    for (size_t c = 0; c < r; ++c) m[r][c] = m[c][r];
  return m;
}

/// Cyclic Jacobi; columns of the result are eigenvectors, the diagonal of m becomes the spectrum.
Matrix diagonalise(Matrix& m) {
  Matrix v{};
  for (size_t k = 0; k < 5; ++k) v[k][k] = 1;
  for (int sweep = 0; sweep < 30; ++sweep)
    for (size_t r = 0; r < 4; ++r)
      for (size_t c = r + 1; c < 5; ++c) {
        const double angle = 0.5 * std::atan2(2 * m[r][c], m[c][c] - m[r][r]);
        const double cosine = std::cos(angle), sine = std::sin(angle);
        const auto turn = [&](double& x, double& y) {
          const double old = x;
          x = cosine * old - sine * y;
          y = sine * old + cosine * y;
        };
        for (size_t k = 0; k < 5; ++k) turn(m[k][r], m[k][c]);
        for (size_t k = 0; k < 5; ++k) turn(m[r][k], m[c][k]);
        for (size_t k = 0; k < 5; ++k) turn(v[k][r], v[k][c]);
      }
  return v;
}

CpuOutputs higgs_scan(const CpuCase& in) {
  const size_t points = in.size("points");
  std::vector<double> m2(5 * points), h(5 * points), flag(points);
  for (size_t i = 0; i < points; ++i) {
    Matrix m = higgs_matrix(in, i);
    const Matrix v = diagonalise(m);
    std::vector<double> lightness;
    for (size_t k = 0; k < 5; ++k) lightness.push_back(-m[k][k]);
    const std::vector<size_t> order = ranked(lightness);
    const size_t first = order[0];
    double largest = 0;
    for (size_t k = 0; k < 5; ++k)
      if (std::abs(v[k][first]) > std::abs(largest)) largest = v[k][first];
    for (size_t k = 0; k < 5; ++k) {
      m2[k * points + i] = m[order[k]][order[k]];
      h[k * points + i] = largest < 0 ? -v[k][first] : v[k][first];
    }
    const double mass = m[first][first] > 0 ? std::sqrt(m[first][first]) : 0;
    if (mass > 0) flag[i] += 1;
    if (mass >= 122 && mass <= 128) flag[i] += 2;
    if (v[1][first] * v[1][first] + v[2][first] * v[2][first] > 0.9) flag[i] += 4;
  }
  return {{"m2", m2}, {"h", h}, {"flag", flag}};
}

}  // namespace

CpuReferences selection_references() {
  return {{"lte-evict-compact", evict},         {"triforce-retrieval-build", retrieve},
          {"louiskv-kmeans-step", kmeans_step}, {"numeric-token-decode-stats", decode_numbers},
          {"kernel-halving-batch", halve},      {"higgs331-cp-even-scan", higgs_scan}};
}

}  // namespace assay

// Specialist: one thread a point, matrix and eigenvectors in registers: all loops over them are
// unrolled, and the eigenvalues go through a sorting network, so no index depends on data. Cyclic
// sweeps until the rest does not count. Bound by f64 arithmetic.
namespace {

struct Problem {
  const double* __restrict__ ve;
  const double* __restrict__ vr;
  const double* __restrict__ vc;
  const double* __restrict__ vd;
  const double* __restrict__ vs;
  const double* __restrict__ f;
  const double* __restrict__ m1;
  const double* __restrict__ l;
  double *m2, *h;
  int* flag;
  int points;

  __device__ double coupling(int number, int i) const {
    return l[static_cast<long long>(number - 1) * points + i];
  }
};

/// The mass matrix of point i.
__device__ __forceinline__ void build(const Problem& p, int i, double (&m)[5][5]) {
  const double ve = p.ve[i], vr = p.vr[i], vc = p.vc[i], vd = p.vd[i], vs = p.vs[i];
  const double f = p.f[i], m1 = p.m1[i];
  const double kq = m1 * ve * ve / vd - 2 * p.coupling(10, i) * vd * vd +
                    2 * p.coupling(10, i) * vs * vs + p.coupling(15, i) * vc * vc -
                    p.coupling(16, i) * ve * ve;
  const double m2 = vs / (vc * vc) * kq;
  const double l1011 = 2 * (p.coupling(10, i) + p.coupling(11, i));
  m[0][0] = 2 * p.coupling(1, i) * vc * vc + f * ve * vr / (2 * vc);
  m[0][1] = p.coupling(4, i) * vc * ve - f * vr / 2;
  m[0][2] = p.coupling(5, i) * vc * vr - f * ve / 2;
  m[0][3] = p.coupling(14, i) * vc * vd;
  m[0][4] = vc * ((p.coupling(14, i) + p.coupling(15, i)) * vs - m2);
  m[1][1] = 2 * p.coupling(2, i) * ve * ve + f * vc * vr / (2 * ve);
  m[1][2] = p.coupling(6, i) * ve * vr - f * vc / 2;
  m[1][3] = ve * ((p.coupling(12, i) + p.coupling(16, i)) * vd - m1);
  m[1][4] = p.coupling(12, i) * ve * vs;
  m[2][2] = 2 * p.coupling(3, i) * vr * vr + f * vc * ve / (2 * vr);
  m[2][3] = p.coupling(13, i) * vd * vr;
  m[2][4] = p.coupling(13, i) * vr * vs;
  m[3][3] = l1011 * vd * vd + m1 * ve * ve / (2 * vd);
  m[3][4] = 2 * p.coupling(11, i) * vd * vs;
  m[4][4] = l1011 * vs * vs + kq / 2;
#pragma unroll
  for (int r = 1; r < 5; ++r)
#pragma unroll
    for (int c = 0; c < r; ++c) m[r][c] = m[c][r];
}

/// One rotation of Jacobi's method: makes m[r][c] zero.
__device__ __forceinline__ void rotate(double (&m)[5][5], double (&v)[5][5], int r, int c) {
  if (m[r][c] == 0) return;
  const double theta = (m[c][c] - m[r][r]) / (2 * m[r][c]);
  const double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
  const double cosine = 1 / sqrt(t * t + 1), sine = t * cosine;
#pragma unroll
  for (int k = 0; k < 5; ++k) {
    const double x = m[k][r], y = m[k][c];
    m[k][r] = cosine * x - sine * y;
    m[k][c] = sine * x + cosine * y;
  }
#pragma unroll
  for (int k = 0; k < 5; ++k) {
    const double x = m[r][k], y = m[c][k];
    m[r][k] = cosine * x - sine * y;
    m[c][k] = sine * x + cosine * y;
  }
#pragma unroll
  for (int k = 0; k < 5; ++k) {
    const double x = v[k][r], y = v[k][c];
    v[k][r] = cosine * x - sine * y;
    v[k][c] = sine * x + cosine * y;
  }
}

__global__ void scan(const Problem p) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= p.points) return;
  double m[5][5], v[5][5];
  build(p, i, m);
#pragma unroll
  for (int r = 0; r < 5; ++r)
#pragma unroll
    for (int c = 0; c < 5; ++c) v[r][c] = r == c;
  for (int sweep = 0; sweep < 12; ++sweep) {
    double rest = 0, scale = 0;
#pragma unroll
    for (int r = 0; r < 5; ++r) {
      scale += fabs(m[r][r]);
#pragma unroll
      for (int c = r + 1; c < 5; ++c) rest += fabs(m[r][c]);
    }
    if (rest <= 1e-18 * scale) break;
#pragma unroll
    for (int r = 0; r < 4; ++r)
#pragma unroll
      for (int c = r + 1; c < 5; ++c) rotate(m, v, r, c);
  }
  // A sorting network that carries eigenvectors along: no index depends on data.
  const auto exchange = [&](int a, int b) {
    if (m[a][a] <= m[b][b]) return;
    const double value = m[a][a];
    m[a][a] = m[b][b];
    m[b][b] = value;
#pragma unroll
    for (int k = 0; k < 5; ++k) {
      const double element = v[k][a];
      v[k][a] = v[k][b];
      v[k][b] = element;
    }
  };
  exchange(0, 3);
  exchange(1, 4);
  exchange(0, 2);
  exchange(1, 3);
  exchange(0, 1);
  exchange(2, 4);
  exchange(1, 2);
  exchange(3, 4);
  exchange(2, 3);
  double largest = 0;
#pragma unroll
  for (int k = 0; k < 5; ++k)
    if (fabs(v[k][0]) > fabs(largest)) largest = v[k][0];
#pragma unroll
  for (int k = 0; k < 5; ++k) {
    __stcs(p.m2 + static_cast<long long>(k) * p.points + i, m[k][k]);
    __stcs(p.h + static_cast<long long>(k) * p.points + i, largest < 0 ? -v[k][0] : v[k][0]);
  }
  const double mass2 = m[0][0];
  const double doublets = v[1][0] * v[1][0] + v[2][0] * v[2][0];
  p.flag[i] = (mass2 > 0 ? 1 : 0) | (mass2 >= 122.0 * 122.0 && mass2 <= 128.0 * 128.0 ? 2 : 0) |
              (doublets > 0.9 ? 4 : 0);
}

}  // namespace

extern "C" void solve(const double* ve, const double* vr, const double* vc, const double* vd,
                      const double* vs, const double* f, const double* m1, const double* l,
                      double* m2, double* h, int* flag, int points, cudaStream_t stream) {
  const Problem p{ve, vr, vc, vd, vs, f, m1, l, m2, h, flag, points};
  scan<<<(points + 127) / 128, 128, 0, stream>>>(p);
}

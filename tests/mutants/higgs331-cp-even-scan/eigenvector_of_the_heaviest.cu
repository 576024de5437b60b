// task: higgs331-cp-even-scan
// expect: wrong_output
// reason: mismatch
// case: ragged
// Takes the eigenvector of the largest.
struct Problem {
  const double *ve, *vr, *vc, *vd, *vs, *f, *m1, *l;
  double *m2, *h;
  int* flag;
  int points;

  __device__ double coupling(int number, int i) const {
    return l[static_cast<long long>(number - 1) * points + i];
  }
};

/// The mass matrix of point i.
__device__ void build(const Problem& p, int i, double (&m)[5][5]) {
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
  for (int r = 1; r < 5; ++r)
    for (int c = 0; c < r; ++c) m[r][c] = m[c][r];
}

/// One rotation of Jacobi's method: makes m[r][c] zero.
__device__ void rotate(double (&m)[5][5], double (&v)[5][5], int r, int c) {
  if (m[r][c] == 0) return;
  const double theta = (m[c][c] - m[r][r]) / (2 * m[r][c]);
  const double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
  const double cosine = 1 / sqrt(t * t + 1), sine = t * cosine;
  for (int k = 0; k < 5; ++k) {
    const double x = m[k][r], y = m[k][c];
    m[k][r] = cosine * x - sine * y;
    m[k][c] = sine * x + cosine * y;
  }
  for (int k = 0; k < 5; ++k) {
    const double x = m[r][k], y = m[c][k];
    m[r][k] = cosine * x - sine * y;
    m[c][k] = sine * x + cosine * y;
  }
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
  for (int r = 0; r < 5; ++r)
    for (int c = 0; c < 5; ++c) v[r][c] = r == c;
  for (int step = 0; step < 100; ++step) {
    int row = 0, column = 1;
    double scale = fabs(m[4][4]);
    for (int r = 0; r < 4; ++r) {
      scale += fabs(m[r][r]);
      for (int c = r + 1; c < 5; ++c)
        if (fabs(m[r][c]) > fabs(m[row][column])) row = r, column = c;
    }
    if (fabs(m[row][column]) <= 1e-18 * scale) break;
    rotate(m, v, row, column);
  }
  int order[5] = {0, 1, 2, 3, 4};
  for (int a = 1; a < 5; ++a)
    for (int b = a; b > 0 && m[order[b]][order[b]] < m[order[b - 1]][order[b - 1]]; --b) {
      const int other = order[b];
      order[b] = order[b - 1];
      order[b - 1] = other;
    }
  const int lightest = order[0];
  double largest = 0;
  const int heaviest = order[4];
  for (int k = 0; k < 5; ++k)
    if (fabs(v[k][heaviest]) > fabs(largest)) largest = v[k][heaviest];
  for (int k = 0; k < 5; ++k) {
    p.m2[static_cast<long long>(k) * p.points + i] = m[order[k]][order[k]];
    p.h[static_cast<long long>(k) * p.points + i] =
        largest < 0 ? -v[k][heaviest] : v[k][heaviest];
  }
  const double mass2 = m[lightest][lightest];
  const double doublets = v[1][lightest] * v[1][lightest] + v[2][lightest] * v[2][lightest];
  p.flag[i] = (mass2 > 0 ? 1 : 0) | (mass2 >= 122.0 * 122.0 && mass2 <= 128.0 * 128.0 ? 2 : 0) |
              (doublets > 0.9 ? 4 : 0);
}

extern "C" void solve(const double* ve, const double* vr, const double* vc, const double* vd,
                      const double* vs, const double* f, const double* m1, const double* l,
                      double* m2, double* h, int* flag, int points, cudaStream_t stream) {
  const Problem p{ve, vr, vc, vd, vs, f, m1, l, m2, h, flag, points};
  scan<<<(points + 63) / 64, 64, 0, stream>>>(p);
}

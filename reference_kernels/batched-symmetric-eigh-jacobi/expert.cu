// Specialist: a team of 16 or 32 lanes a matrix, everything in shared memory. A sweep is a round
// robin: in each of its steps the rows meet in disjoint pairs, so that a step's rotations are
// independent. Lane i computes the angle of pair i; then every lane turns its column of A by all
// pairs of rows, and after that its row of A and its row of V by all pairs of columns. Rows are one
// word longer than the matrix: neither way through it has bank conflicts. Sweeps end when none of
// the team's angles matters. Eigenvalues are Rayleigh quotients. Bound by shared memory: twelve
// accesses a pair, lane and step.
namespace {

constexpr int kWarps = 4;
constexpr int kSweeps = 15;

template <int kTeam>
struct Shared {
  static constexpr int kRow = kTeam + 1;
  float a[kTeam * kRow], v[kTeam * kRow];
  float cosines[kTeam / 2], sines[kTeam / 2];
  float values[kTeam];
};

/// Who meets whom in a round robin of `players`, an even number: seat 0 stays, the others move on.
__device__ int player_of(int seat, int step, int players) {
  if (seat == 0) return 0;
  const int moved = seat - 1 + step;
  return 1 + (moved >= players - 1 ? moved - (players - 1) : moved);
}

template <int kTeam>
class Solver {
 public:
  __device__ Solver(Shared<kTeam>& shared, const float* lower, int n)
      : s_(shared), lower_(lower), n_(n), lane_(threadIdx.x % kTeam) {
    mask_ = kTeam == 32 ? ~0u : 0xffffu << (threadIdx.x % 32 / kTeam * kTeam);
  }

  __device__ void run() {
    load();
    const int players = n_ + n_ % 2;
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      bool turned = false;
      for (int step = 0; step < players - 1; ++step) {
        turned |= find_angle(step, players);
        turn(step, players);
      }
      if (!__any_sync(mask_, turned)) break;
    }
  }

  __device__ void store(float* w, float* V) {
    if (lane_ < n_) s_.values[lane_] = rayleigh_quotient();
    __syncwarp(mask_);
    if (lane_ >= n_) return;
    for (int k = 0; k < n_; ++k) {  // all lanes need the rank of k
      const float value = s_.values[k];
      int rank = 0;
      for (int other = 0; other < n_; ++other)
        if (s_.values[other] < value || (s_.values[other] == value && other < k)) ++rank;
      if (lane_ == k) w[rank] = value;
      V[lane_ * n_ + rank] = v(lane_, k);
    }
  }

 private:
  __device__ float& a(int row, int column) { return s_.a[row * Shared<kTeam>::kRow + column]; }
  __device__ float& v(int row, int column) { return s_.v[row * Shared<kTeam>::kRow + column]; }
  __device__ float given(int row, int column) const {
    return __ldg(lower_ + (row >= column ? row * n_ + column : column * n_ + row));
  }

  __device__ void load() {
    float largest = 0;
    if (lane_ < n_)
      for (int row = 0; row < n_; ++row) {
        if (row >= lane_) {
          const float element = __ldg(lower_ + row * n_ + lane_);
          a(row, lane_) = element;
          a(lane_, row) = element;
          largest = fmaxf(largest, fabsf(element));
        }
        v(row, lane_) = row == lane_ ? 1 : 0;
      }
#pragma unroll
    for (int distance = kTeam / 2; distance > 0; distance /= 2)
      largest = fmaxf(largest, __shfl_xor_sync(mask_, largest, distance));
    negligible_ = 1e-7f * largest;
    __syncwarp(mask_);
  }

  /// The pair that meets in seats i and players - 1 - i; q >= n where a player rests.
  struct Pair {
    int p, q;
  };
  __device__ Pair pair_of(int i, int step, int players) const {
    const int x = player_of(i, step, players), y = player_of(players - 1 - i, step, players);
    return {min(x, y), max(x, y)};
  }

  /// Lane i: the angle that makes the element of pair i vanish. True where it changes anything.
  __device__ bool find_angle(int step, int players) {
    bool matters = false;
    if (lane_ < players / 2) {
      const auto [p, q] = pair_of(lane_, step, players);
      float c = 1, s = 0;
      if (q < n_) {
        const float off = a(p, q), first = a(p, p), second = a(q, q);
        matters = fabsf(off) > negligible_;
        if (off != 0) {
          const float tau = (second - first) / (2 * off);
          const float t = copysignf(1, tau) / (fabsf(tau) + sqrtf(1 + tau * tau));
          c = 1 / sqrtf(1 + t * t);
          s = t * c;
        }
      }
      s_.cosines[lane_] = c;
      s_.sines[lane_] = s;
    }
    __syncwarp(mask_);
    return matters;
  }

  __device__ void turn(int step, int players) {
    if (lane_ < n_)
      for (int i = 0; i < players / 2; ++i) {
        const auto [p, q] = pair_of(i, step, players);
        if (q >= n_) continue;
        const float c = s_.cosines[i], s = s_.sines[i], x = a(p, lane_), y = a(q, lane_);
        a(p, lane_) = c * x - s * y;
        a(q, lane_) = s * x + c * y;
      }
    __syncwarp(mask_);
    if (lane_ < n_)
      for (int i = 0; i < players / 2; ++i) {
        const auto [p, q] = pair_of(i, step, players);
        if (q >= n_) continue;
        const float c = s_.cosines[i], s = s_.sines[i], x = a(lane_, p), y = a(lane_, q);
        a(lane_, p) = c * x - s * y;
        a(lane_, q) = s * x + c * y;
        const float left = v(lane_, p), right = v(lane_, q);
        v(lane_, p) = c * left - s * right;
        v(lane_, q) = s * left + c * right;
      }
    __syncwarp(mask_);
  }

  /// Of eigenvector `lane`, from the matrix as it was given.
  __device__ float rayleigh_quotient() {
    float numerator = 0, denominator = 0;
    for (int i = 0; i < n_; ++i) {
      float row = 0;
      for (int j = 0; j < n_; ++j) row += given(i, j) * v(j, lane_);
      numerator += row * v(i, lane_);
      denominator += v(i, lane_) * v(i, lane_);
    }
    return numerator / denominator;
  }

  Shared<kTeam>& s_;
  const float* lower_;
  int n_, lane_;
  unsigned mask_;
  float negligible_ = 0;  // off the diagonal
};

template <int kTeam>
__global__ void __launch_bounds__(32 * kWarps)
    solve_all(const float* A, float* w, float* V, int batch, int n) {
  constexpr int kTeams = 32 * kWarps / kTeam;
  __shared__ Shared<kTeam> shared[kTeams];
  const int b = blockIdx.x * kTeams + threadIdx.x / kTeam;
  if (b >= batch) return;
  const long long first = static_cast<long long>(b) * n * n;
  Solver<kTeam> solver(shared[threadIdx.x / kTeam], A + first, n);
  solver.run();
  solver.store(w + static_cast<long long>(b) * n, V + first);
}

template <int kTeam>
void launch(const float* A, float* w, float* V, int batch, int n, cudaStream_t stream) {
  constexpr int kTeams = 32 * kWarps / kTeam;
  solve_all<kTeam>
      <<<(batch + kTeams - 1) / kTeams, 32 * kWarps, 0, stream>>>(A, w, V, batch, n);
}

}  // namespace

extern "C" void solve(const float* A, float* w, float* V, int batch, int n, cudaStream_t stream) {
  if (n <= 16)
    launch<16>(A, w, V, batch, n, stream);
  else
    launch<32>(A, w, V, batch, n, stream);
}

// Specialist: one pass with decoupled look-back (Merrill and Garland, 2016): every value is read
// and written once. A run of values is summarised by its number of positives modulo 3 and by three
// sums, one for each class of values, the class being the number of positives before the value
// within the run, modulo 3. Summaries compose, so a tile can publish its own before it knows what
// came before. Once it knows, one class is the chosen one, and an ordinary scan of the values of
// that class, held in registers, finishes the tile. Counts come from ballots. Tiles are taken by
// ticket: a block waits only for blocks that are already running.
//
// What is known reaches the next tiles once a round trip to the L2 cache, about a microsecond, in
// which memory moves 60 tiles: so a warp looks back at 128 of them at once.
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kQuads = 8;                  // int4 per thread
constexpr int kPerWarp = 32 * 4 * kQuads;  // consecutive values of a warp
constexpr int kPerTile = kWarps * kPerWarp;
constexpr int kTilesOfLane = 4;  // that a lane looks back at
constexpr unsigned kAll = ~0u;

struct Summary {
  unsigned count;    // positives modulo 3
  unsigned sums[3];  // by class

  __device__ void follow(const Summary& before) {
    const unsigned by = before.count;  // classes move on by as much
    const unsigned old[3] = {sums[0], sums[1], sums[2]};
#pragma unroll
    for (unsigned c = 0; c < 3; ++c)
      sums[c] = before.sums[c] + (by == 0 ? old[c] : by == 1 ? old[(c + 2) % 3] : old[(c + 1) % 3]);
    count = (count + by) % 3;
  }
};

/// What a tile has published. The flag is written after what it announces.
struct Tile {
  unsigned flag;  // 0: nothing yet, 1: own, 2: upto too
  unsigned padding[3];
  Summary own;   // of the tile
  Summary upto;  // of all values up to the end of the tile
};

struct Progress {
  unsigned next_tile;
  unsigned padding[3];
  Tile tiles[1];  // as many as there are
};

__device__ void write(volatile Summary* to, const Summary& from) {
  to->count = from.count;
  to->sums[0] = from.sums[0];
  to->sums[1] = from.sums[1];
  to->sums[2] = from.sums[2];
}
__device__ Summary read(const volatile Summary* from) {
  return Summary{from->count, {from->sums[0], from->sums[1], from->sums[2]}};
}
__device__ void announce(Tile* tile, unsigned flag) {
  __threadfence();
  *const_cast<volatile unsigned*>(&tile->flag) = flag;
}

/// Summary of everything before `tile`. Called by one whole warp; lane 0 gets it.
__device__ Summary look_back(const Tile* tiles, int tile) {
  const int lane = threadIdx.x % 32;
  Summary all{0, {0, 0, 0}};
  for (int last = tile - 1; last >= 0; last -= 32 * kTilesOfLane) {
    const int latest = last - lane * kTilesOfLane;  // of this lane; higher lanes have earlier ones
    unsigned flags[kTilesOfLane];
    bool waits;
    do {
      waits = false;
#pragma unroll
      for (int i = 0; i < kTilesOfLane; ++i) {
        // Before the first tile there is nothing, which is known.
        flags[i] = latest >= i ? *const_cast<const volatile unsigned*>(&tiles[latest - i].flag) : 2;
        waits |= flags[i] == 0;
      }
    } while (__any_sync(kAll, waits));
    __threadfence();
    bool complete = false;
#pragma unroll
    for (int i = 0; i < kTilesOfLane; ++i) complete |= flags[i] == 2;
    const unsigned complete_lanes = __ballot_sync(kAll, complete);
    const int stop = complete_lanes != 0 ? __ffs(complete_lanes) - 1 : 31;
    Summary part{0, {0, 0, 0}};
#pragma unroll
    for (int i = kTilesOfLane - 1; i >= 0; --i) {
      if (lane > stop || latest < i) continue;
      Summary next = read(flags[i] == 2 ? &tiles[latest - i].upto : &tiles[latest - i].own);
      if (flags[i] != 2) next.follow(part);
      part = next;
    }
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
      Summary earlier;
      earlier.count = __shfl_down_sync(kAll, part.count, distance);
#pragma unroll
      for (int c = 0; c < 3; ++c) earlier.sums[c] = __shfl_down_sync(kAll, part.sums[c], distance);
      if (lane + distance < 32) part.follow(earlier);
    }
    all.follow(part);
    if (complete_lanes != 0) break;
  }
  return all;
}

__device__ unsigned inclusive_warp_scan(unsigned value) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const unsigned before = __shfl_up_sync(kAll, value, distance);
    if (lane >= distance) value += before;
  }
  return value;
}

struct Values {
  int4 quads[kQuads];
  unsigned starts;  // class of the first value of each quad, two bits each

  __device__ void load(const int* __restrict__ x, long long first, int n) {
#pragma unroll
    for (int q = 0; q < kQuads; ++q) {
      const long long i = first + q * 128;
      if (i + 4 <= n)
        quads[q] = __ldcs(reinterpret_cast<const int4*>(x + i));
      else
        quads[q] =
            make_int4(i < n ? x[i] : 0, i + 1 < n ? x[i + 1] : 0, i + 2 < n ? x[i + 2] : 0, 0);
    }
  }

  /// Number of positives of the warp; counts[q]: those of the warp before quad q of this lane.
  __device__ unsigned count(unsigned (&counts)[kQuads]) const {
    const unsigned below = (1u << threadIdx.x % 32) - 1;
    unsigned total = 0;
#pragma unroll
    for (int q = 0; q < kQuads; ++q) {
      const unsigned x = __ballot_sync(kAll, quads[q].x > 0);
      const unsigned y = __ballot_sync(kAll, quads[q].y > 0);
      const unsigned z = __ballot_sync(kAll, quads[q].z > 0);
      const unsigned w = __ballot_sync(kAll, quads[q].w > 0);
      counts[q] =
          total + __popc(x & below) + __popc(y & below) + __popc(z & below) + __popc(w & below);
      total += __popc(x) + __popc(y) + __popc(z) + __popc(w);
    }
    return total;
  }

  /// Calls use(value, class) for each value of quad q.
  template <typename Use>
  __device__ void visit(int q, Use use) {
    unsigned c = starts >> (2 * q) & 3;
    const auto next = [&](int& value) {
      const bool positive = value > 0;
      use(value, c);
      c += positive;
      c = c == 3 ? 0 : c;
    };
    next(quads[q].x);
    next(quads[q].y);
    next(quads[q].z);
    next(quads[q].w);
  }
};

__global__ void __launch_bounds__(kThreads)
    scan(const int* __restrict__ x, int* __restrict__ y, int n, Progress* progress) {
  __shared__ unsigned shared_tile;
  __shared__ unsigned warp_counts[kWarps];
  __shared__ unsigned warp_sums[kWarps][3];
  __shared__ Summary before;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  if (threadIdx.x == 0) shared_tile = atomicAdd(&progress->next_tile, 1);
  __syncthreads();
  const int tile = static_cast<int>(shared_tile);
  const long long first = static_cast<long long>(tile) * kPerTile + warp * kPerWarp + lane * 4;

  Values values;
  values.load(x, first, n);
  unsigned counts[kQuads];
  const unsigned of_warp = values.count(counts);
  if (lane == 0) warp_counts[warp] = of_warp;
  __syncthreads();
  unsigned of_tile = 0, offset = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    offset += w < warp ? warp_counts[w] : 0;
    of_tile += warp_counts[w];
  }
  unsigned sums[3] = {};
  values.starts = 0;
#pragma unroll
  for (int q = 0; q < kQuads; ++q) {
    values.starts |= (offset + counts[q]) % 3 << (2 * q);
    values.visit(q, [&](int value, unsigned c) {
#pragma unroll
      for (unsigned k = 0; k < 3; ++k) sums[k] += c == k ? static_cast<unsigned>(value) : 0;
    });
  }
#pragma unroll
  for (int k = 0; k < 3; ++k) {
    sums[k] = __reduce_add_sync(kAll, sums[k]);
    if (lane == 0) warp_sums[warp][k] = sums[k];
  }
  __syncthreads();

  if (warp == 0) {
    Summary own{of_tile % 3, {0, 0, 0}};
#pragma unroll
    for (int w = 0; w < kWarps; ++w)
#pragma unroll
      for (int k = 0; k < 3; ++k) own.sums[k] += warp_sums[w][k];
    Tile* mine = progress->tiles + tile;
    if (lane == 0 && tile > 0) {
      write(&mine->own, own);
      announce(mine, 1);
    }
    const Summary all = look_back(progress->tiles, tile);
    if (lane == 0) {
      own.follow(all);
      write(&mine->upto, own);
      announce(mine, 2);
      before = all;
    }
  }
  __syncthreads();

  const unsigned chosen = (4 - before.count) % 3;
  unsigned carry = before.sums[1];
  for (int w = 0; w < warp; ++w) carry += warp_sums[w][chosen];
#pragma unroll
  for (int q = 0; q < kQuads; ++q) {
    unsigned sum = 0;
    values.visit(q, [&](int& value, unsigned c) {
      sum += c == chosen ? static_cast<unsigned>(value) : 0;
      value = static_cast<int>(sum);
    });
    const unsigned through = inclusive_warp_scan(sum);
    const int earlier = static_cast<int>(carry + through - sum);
    carry += __shfl_sync(kAll, through, 31);
    int4 v = values.quads[q];
    v.x += earlier;
    v.y += earlier;
    v.z += earlier;
    v.w += earlier;
    const long long i = first + q * 128;
    if (i + 4 <= n) {
      __stcs(reinterpret_cast<int4*>(y + i), v);
    } else {
      if (i < n) y[i] = v.x;
      if (i + 1 < n) y[i + 1] = v.y;
      if (i + 2 < n) y[i + 2] = v.z;
    }
  }
}

}  // namespace

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  const int tiles = (n - 1) / kPerTile + 1;
  const size_t bytes = sizeof(Progress) + (tiles - 1) * sizeof(Tile);
  Progress* progress = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&progress), bytes, stream);
  cudaMemsetAsync(progress, 0, bytes, stream);
  scan<<<tiles, kThreads, 0, stream>>>(x, y, n, progress);
  cudaFreeAsync(progress, stream);
}

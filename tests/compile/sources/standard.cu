// Host code that uses the standard library, and device code that uses its traits.
#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>
using namespace std;
template <typename T>
__global__ void lowest(T* y) {
  static_assert(std::is_same<T, float>::value, "");
  y[threadIdx.x] = std::numeric_limits<T>::lowest() + std::max(T(1), T(2));
}
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  vector<int> sizes = {3, 1, 2};
  sort(sizes.begin(), sizes.end());
  for (int size : sizes) lowest<<<size, 32, 0, stream>>>(y);
}

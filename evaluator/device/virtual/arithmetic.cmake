# The numerics of the virtual GPU: pure functions of PTX's arithmetic, included by this folder's
# CMakeLists.txt and by nothing else.
set(VIRTUAL_ARITHMETIC_SOURCES
  arithmetic_approximate.cc arithmetic_convert.cc arithmetic_exact.cc arithmetic_integer.cc
  mma.cc mma_matrix.cc mma_wmma.cc printf.cc)

#define LANES_NAME "avx512"
#define LANES_EXECUTOR kAvx512Executor
#include "evaluator/device/virtual/lanes.inc"

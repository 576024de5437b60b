#define LANES_NAME "avx2"
#define LANES_EXECUTOR kAvx2Executor
#include "evaluator/device/virtual/lanes.inc"

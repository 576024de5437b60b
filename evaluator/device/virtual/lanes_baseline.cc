#define LANES_NAME "baseline"
#define LANES_EXECUTOR kBaselineExecutor
#include "evaluator/device/virtual/lanes.inc"

// The arithmetic of the virtual GPU: pure functions of values, one for each instruction.
#pragma once

#include "evaluator/device/virtual/arithmetic_approximate.h"
#include "evaluator/device/virtual/arithmetic_convert.h"
#include "evaluator/device/virtual/arithmetic_float.h"
#include "evaluator/device/virtual/arithmetic_formats.h"
#include "evaluator/device/virtual/arithmetic_integer.h"

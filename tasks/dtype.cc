#include "tasks/dtype.h"

#include <array>
#include <cstring>

#include "tasks/element.h"

namespace assay {

namespace {

struct Row {
  std::string_view name;
  std::string_view cuda_type;
  size_t bytes;
  bool floating;
  double exact;  // largest_exact_integer
};

/// In the order of the enumeration.
constexpr std::array<Row, kDtypeCount> kRows{{
    {"f64", "double", 8, true, 9007199254740992.0},
    {"f32", "float", 4, true, 16777216},
    {"tf32", "float", 4, true, 2048},
    {"f16", "__half", 2, true, 2048},
    {"bf16", "__nv_bfloat16", 2, true, 256},
    {"e4m3", "__nv_fp8_e4m3", 1, true, 16},
    {"e5m2", "__nv_fp8_e5m2", 1, true, 8},
    {"i64", "long long", 8, false, 9007199254740992.0},
    {"i32", "int", 4, false, 2147483647},
    {"i16", "short", 2, false, 32767},
    {"i8", "signed char", 1, false, 127},
    {"u32", "unsigned int", 4, false, 4294967295.0},
    {"u8", "unsigned char", 1, false, 255},
    {"bool", "bool", 1, false, 1},
}};

const Row& row(Dtype dtype) { return kRows[static_cast<size_t>(dtype)]; }

}  // namespace

size_t size_bytes(Dtype dtype) { return row(dtype).bytes; }
std::string_view name(Dtype dtype) { return row(dtype).name; }
std::string_view cuda_type(Dtype dtype) { return row(dtype).cuda_type; }
bool is_floating(Dtype dtype) { return row(dtype).floating; }
double largest(Dtype dtype) { return element::largest_value(dtype); }
double largest_exact_integer(Dtype dtype) { return row(dtype).exact; }

std::optional<Dtype> dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].name == name) return static_cast<Dtype>(i);
  return std::nullopt;
}

double to_double(Dtype dtype, const void* element) {
  alignas(8) unsigned char aligned[8] = {};
  std::memcpy(aligned, element, size_bytes(dtype));
  return element::load(dtype, aligned, 0);
}

void from_double(Dtype dtype, double value, void* element) {
  alignas(8) unsigned char aligned[8] = {};
  element::store(dtype, aligned, 0, value);
  std::memcpy(element, aligned, size_bytes(dtype));
}

double rounded(Dtype dtype, double value) {
  alignas(8) unsigned char aligned[8] = {};
  element::store(dtype, aligned, 0, value);
  return element::load(dtype, aligned, 0);
}

}  // namespace assay

// Instructions of whole warps and blocks: shuffles, votes, barriers, matrices.
#include <algorithm>
#include <bit>

#include "evaluator/device/virtual/cluster.h"
#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/scalar.h"
#include "evaluator/device/virtual/warp_ops.h"

namespace assay::virtual_gpu {
namespace {

std::optional<MmaType> matrix_type(std::string_view name) {
  constexpr std::pair<std::string_view, MmaType> kTypes[] = {
      {"f16", MmaType::f16}, {"bf16", MmaType::bf16}, {"tf32", MmaType::tf32},
      {"f32", MmaType::f32}, {"f64", MmaType::f64},   {"s8", MmaType::s8},
      {"u8", MmaType::u8},   {"s4", MmaType::s4},     {"u4", MmaType::u4},
      {"b1", MmaType::b1},   {"e4m3", MmaType::e4m3}, {"e5m2", MmaType::e5m2},
      {"s32", MmaType::s32}};
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
  }
  return std::nullopt;
}

/// "m16n8k16"
bool parse_shape(std::string_view text, int& m, int& n, int& k) {
  int* parts[] = {&m, &n, &k};
  size_t at = 0;
  for (int i = 0; i < 3; ++i) {
    if (at >= text.size() || text[at] != "mnk"[i]) return false;
    int value = 0;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9' && value < 1000; ++at) {
      value = value * 10 + (text[at] - '0');
    }
    *parts[i] = value;
  }
  return at == text.size();
}

}  // namespace

Op& FunctionDecoder::emit_warp_sync(Handler handler, uint32_t members) {
  Op& op = emit_handler(handler);
  op.control = Control::warp_sync;
  op.r[5] = members;
  return op;
}

bool FunctionDecoder::shuffle() {
  if (!modifiers_.take("sync")) return refuse("shfl without .sync left the hardware with sm_70");
  const int mode = modifiers_.take_one({"up", "down", "bfly", "idx"});
  if (mode < 0 || !modifiers_.take("b32")) return false;
  const bool with_predicate = operand(0).paired;
  const size_t first = with_predicate ? 2 : 1;
  const uint32_t a = source(first, 4), b = source(first + 1, 4), c = source(first + 2, 4);
  const uint32_t members = source(first + 3, 4);
  const uint32_t p = with_predicate ? predicate_destination(operand(1)) : temporary(0);
  Op& op = emit(OpCode::shuffle, {destination(0, 4), p, a, b, c, members});
  op.control = Control::warp_sync;
  op.imm = mode;
  return true;
}

bool FunctionDecoder::vote() {
  if (!modifiers_.take("sync")) return refuse("vote without .sync left the hardware with sm_70");
  const int kind = modifiers_.take_one({"all", "any", "uni", "ballot"});
  if (kind < 0 || !(modifiers_.take("pred") || modifiers_.take("b32"))) return false;
  bool inverted = false;
  const uint32_t p = predicate(operand(1), inverted);
  const uint32_t members = source(2, 4);
  const uint32_t d = kind == 3 ? destination(0, 4) : predicate_destination(operand(0));
  Op& op = emit_warp_sync(run_vote, members);
  op.r[0] = d;
  op.r[1] = p;
  op.imm = kind;
  op.width = inverted;
  return true;
}

bool FunctionDecoder::match() {
  const int kind = modifiers_.take_one({"any", "all"});
  if (kind < 0 || !modifiers_.take("sync")) return false;
  const Type type = modifiers_.take_type();
  const uint32_t width = bytes_of(type);
  if (width != 4 && width != 8) return false;
  const bool with_predicate = operand(0).paired;
  const size_t first = with_predicate ? 2 : 1;
  const uint32_t a = source(first, width), members = source(first + 1, 4);
  const uint32_t p = with_predicate ? predicate_destination(operand(1)) : temporary(0);
  const uint32_t d = destination(0, 4);
  Op& op = emit_warp_sync(run_match, members);
  op.r[0] = d;
  op.r[1] = p;
  op.r[2] = a;
  op.imm = kind;
  op.width = static_cast<uint8_t>(width);
  return true;
}

bool FunctionDecoder::reduce() {
  if (!modifiers_.take("sync")) return false;
  const int kind = modifiers_.take_one({"add", "min", "max", "and", "or", "xor"});
  const Type type = modifiers_.take_type();
  if (kind < 0 || bytes_of(type) != 4 || is_float(type)) return false;
  constexpr ReduceKind kUnsigned[] = {ReduceKind::add,     ReduceKind::min_u,
                                      ReduceKind::max_u,   ReduceKind::bits_and,
                                      ReduceKind::bits_or, ReduceKind::bits_xor};
  ReduceKind which = kUnsigned[kind];
  if (is_signed(type) && kind == 1) which = ReduceKind::min_s;
  if (is_signed(type) && kind == 2) which = ReduceKind::max_s;
  const uint32_t a = source(1, 4), members = source(2, 4), d = destination(0, 4);
  Op& op = emit_warp_sync(run_reduce, members);
  op.r[0] = d;
  op.r[1] = a;
  op.imm = static_cast<int64_t>(which);
  return true;
}

bool FunctionDecoder::active_mask() {
  if (!modifiers_.take("b32")) return false;
  emit_handler(run_active_mask).r[0] = destination(0, 4);
  return true;
}

bool FunctionDecoder::elect() {
  if (!modifiers_.take("sync")) return false;
  const bool both = operand(0).paired;
  const uint32_t d = both ? destination(0, 4) : temporary(4);
  const uint32_t p = predicate_destination(operand(both ? 1 : 0));
  const uint32_t members = source(both ? 2 : 1, 4);
  Op& op = emit_warp_sync(run_elect, members);
  op.r[0] = d;
  op.r[1] = p;
  return true;
}

bool FunctionDecoder::barrier() {
  const bool bar = modifiers_.name() == "bar";
  if (modifiers_.take("warp")) {
    if (!modifiers_.take("sync")) return false;
    Op& op = emit_warp_sync(run_warp_barrier, source(0, 4));
    op.imm = kWarpBarrier;
    return true;
  }
  if (modifiers_.take("cluster")) {
    const int part = modifiers_.take_one({"arrive", "wait"});
    modifiers_.take_one({"release", "relaxed", "acquire"});
    modifiers_.take("aligned");
    if (part < 0) return false;
    emit(part == 0 ? Control::cluster_arrive : Control::cluster_wait);
    program_.only_block_barriers = false;
    return true;
  }
  modifiers_.take("cta");
  const int what = modifiers_.take_one({"sync", "arrive", "red"});
  if (what < 0) return false;
  const bool aligned = modifiers_.take("aligned") || bar;
  BarrierKind kind = what == 1 ? BarrierKind::arrive : BarrierKind::sync;
  size_t at = 0;
  uint32_t d = kTrueRow;
  if (what == 2) {
    const int reduction = modifiers_.take_one({"popc", "and", "or"});
    if (reduction < 0 || !(modifiers_.take("u32") || modifiers_.take("pred"))) return false;
    kind = reduction == 0   ? BarrierKind::popc
           : reduction == 1 ? BarrierKind::all_of
                            : BarrierKind::any_of;
    d = reduction == 0 ? destination(0, 4) : predicate_destination(operand(0));
    if (!extensions_.empty()) return refuse("a result of another width");
    at = 1;
  }
  const uint32_t id = source(at, 4);
  const auto number = integer(operand(at));
  const size_t left = operand_count() - at - 1 - (what == 2 ? 1 : 0);
  const bool counted = left > 0;
  const uint32_t count = counted ? source(at + 1, 4) : kTrueRow;
  bool inverted = false;
  const uint32_t p = what == 2 ? predicate(operand(operand_count() - 1), inverted) : kTrueRow;
  if (counted || what == 1 || !number || *number != 0) program_.only_block_barriers = false;
  Op& op = emit(Control::barrier);
  op.r = {d, id, count, p, 0, 0};
  op.vector = counted;
  op.width = inverted;
  op.imm = static_cast<int64_t>(kind) | (aligned ? kAlignedBarrier : 0);
  return true;
}

bool FunctionDecoder::map_address() {
  const bool generic = !modifiers_.take("shared::cluster");
  const uint32_t width = bytes_of(modifiers_.take_type());
  if (width != 4 && width != 8) return false;
  const uint32_t a = source(1, 8), rank = source(2, 4);
  const uint32_t wide = temporary(8), d = destination(0, width);
  Op& op = emit_handler(run_map_address);
  op.r = {wide, a, rank, 0, 0, 0};
  op.imm = generic;
  emit_resize(d, width, wide, 8, false);
  return true;
}

bool FunctionDecoder::rank_of_address() {
  const bool generic = !modifiers_.take("shared::cluster");
  if (modifiers_.take_type() == Type::none) return false;
  const uint32_t a = source(1, 8), d = destination(0, 4);
  Op& op = emit_handler(run_rank_of_address);
  op.r = {d, a, 0, 0, 0, 0};
  op.imm = generic;
  return true;
}

bool FunctionDecoder::load_matrix() {
  modifiers_.take("sync");
  modifiers_.take("aligned");
  if (!modifiers_.take("m8n8")) return refuse("a shape other than m8n8");
  const int count = modifiers_.take_one({"x1", "x2", "x4"});
  MatrixMove move;
  move.transpose = modifiers_.take("trans");
  const bool shared = modifiers_.take("shared") || modifiers_.take("shared::cta");
  if (count < 0 || !modifiers_.take("b16")) return false;
  move.count = 1 << count;
  move.shared = shared;
  Address place;
  if (!address(operand(1), shared ? Space::shared : Space::generic, place)) return false;
  move.narrow = place.narrow;
  const Operand& list = operand(0);
  const auto registers =
      list.kind == Operand::Kind::vector ? elements(list) : std::span<const Operand>(&list, 1);
  if (registers.size() != static_cast<size_t>(move.count)) return false;
  for (size_t i = 0; i < registers.size(); ++i) move.rows[i] = destination(registers[i], 4);
  Op& op = emit_warp_sync(run_load_matrix, constant(kAllLanes, 4));
  op.r[4] = place.row;
  op.imm = place.offset;
  op.table = keep(move);
  return true;
}

bool FunctionDecoder::store_matrix() {
  modifiers_.take("sync");
  modifiers_.take("aligned");
  if (!modifiers_.take("m8n8")) return refuse("a shape other than m8n8");
  const int count = modifiers_.take_one({"x1", "x2", "x4"});
  MatrixMove move;
  move.transpose = modifiers_.take("trans");
  const bool shared = modifiers_.take("shared") || modifiers_.take("shared::cta");
  if (count < 0 || !modifiers_.take("b16")) return false;
  move.count = 1 << count;
  move.shared = shared;
  Address place;
  if (!address(operand(0), shared ? Space::shared : Space::generic, place)) return false;
  move.narrow = place.narrow;
  const Operand& list = operand(1);
  const auto registers =
      list.kind == Operand::Kind::vector ? elements(list) : std::span<const Operand>(&list, 1);
  if (registers.size() != static_cast<size_t>(move.count)) return false;
  for (size_t i = 0; i < registers.size(); ++i) move.rows[i] = source(registers[i], 4);
  Op& op = emit_warp_sync(run_store_matrix, constant(kAllLanes, 4));
  op.r[4] = place.row;
  op.imm = place.offset;
  op.table = keep(move);
  return true;
}

bool FunctionDecoder::move_matrix() {
  modifiers_.take("sync");
  modifiers_.take("aligned");
  if (!modifiers_.take("m8n8") || !modifiers_.take("trans") || !modifiers_.take("b16"))
    return false;
  const uint32_t a = source(1, 4), d = destination(0, 4);
  Op& op = emit_warp_sync(run_move_matrix, constant(kAllLanes, 4));
  op.r[0] = d;
  op.r[1] = a;
  return true;
}

bool FunctionDecoder::matrix_multiply() {
  modifiers_.take("sync");
  modifiers_.take("aligned");
  MatrixMultiply multiply;
  MmaOperation& operation = multiply.mma;
  if (!parse_shape(modifiers_.take_any(), operation.m, operation.n, operation.k)) return false;
  if (!modifiers_.take("row") || !modifiers_.take("col")) return refuse("this layout");
  operation.satfinite = modifiers_.take("satfinite");
  const bool exclusive = modifiers_.take("xor");
  operation.b1_and = !exclusive && modifiers_.take("and");
  modifiers_.take("popc");
  MmaType* types[] = {&operation.d, &operation.a, &operation.b, &operation.c};
  for (MmaType* type : types) {
    const auto known = matrix_type(modifiers_.take_any());
    if (!known) return false;
    *type = *known;
  }
  if (!supported(operation)) return refuse("this combination of shape and types");
  multiply.wide = operation.d == MmaType::f64;
  const uint32_t width = multiply.wide ? 8 : 4;
  const auto fill = [&](size_t index, MmaMatrix matrix, std::vector<uint32_t>& rows) {
    const Operand& list = operand(index);
    const auto registers =
        list.kind == Operand::Kind::vector ? elements(list) : std::span<const Operand>(&list, 1);
    const int words = register_count(operation, matrix) / (multiply.wide ? 2 : 1);
    if (static_cast<int>(registers.size()) != words) return refuse("so many registers");
    for (const Operand& element : registers) {
      rows.push_back(matrix == MmaMatrix::d ? destination(element, width) : source(element, width));
    }
    return true;
  };
  if (!fill(1, MmaMatrix::a, multiply.a) || !fill(2, MmaMatrix::b, multiply.b) ||
      !fill(3, MmaMatrix::c, multiply.c) || !fill(0, MmaMatrix::d, multiply.d)) {
    return false;
  }
  emit_warp_sync(run_matrix_multiply, constant(kAllLanes, 4)).table = keep(std::move(multiply));
  return true;
}

bool FunctionDecoder::wmma() {
  const int what = modifiers_.take_one({"load", "store", "mma"});
  modifiers_.take("sync");
  modifiers_.take("aligned");
  if (what < 0) return false;
  const auto registers = [&](const Operand& list) {
    return list.kind == Operand::Kind::vector ? elements(list) : std::span<const Operand>(&list, 1);
  };
  if (what == 2) {
    MatrixMultiply multiply;
    multiply.is_wmma = true;
    WmmaOperation& operation = multiply.wmma;
    operation.b1_and = modifiers_.take("and");
    modifiers_.take("xor");
    modifiers_.take("popc");
    operation.satfinite = modifiers_.take("satfinite");
    const std::string_view a_layout = modifiers_.take_any(), b_layout = modifiers_.take_any();
    operation.a_row = a_layout == "row";
    operation.b_row = b_layout == "row";
    if (!parse_shape(modifiers_.take_any(), operation.m, operation.n, operation.k)) return false;
    // f16: .dtype.ctype; the others: .dtype.atype.btype.ctype
    std::vector<MmaType> types;
    for (std::string_view part = modifiers_.take_any(); !part.empty();
         part = modifiers_.take_any()) {
      if (part == "rn") continue;
      const auto known = matrix_type(part);
      if (!known) return false;
      types.push_back(*known);
    }
    if (types.size() == 2) {
      operation.d = types[0];
      operation.c = types[1];
      operation.a = operation.b = MmaType::f16;
    } else if (types.size() == 4) {
      operation.d = types[0];
      operation.a = types[1];
      operation.b = types[2];
      operation.c = types[3];
    } else {
      return false;
    }
    if (!supported(operation)) return refuse("this combination of shape and types");
    multiply.wide = operation.d == MmaType::f64;
    const uint32_t width = multiply.wide ? 8 : 4;
    const auto fill = [&](size_t index, MmaMatrix matrix, std::vector<uint32_t>& rows) {
      const auto list = registers(operand(index));
      const int words = register_count(operation, matrix) / (multiply.wide ? 2 : 1);
      if (static_cast<int>(list.size()) != words) return refuse("so many registers");
      for (const Operand& element : list) {
        rows.push_back(matrix == MmaMatrix::d ? destination(element, width)
                                              : source(element, width));
      }
      return true;
    };
    if (!fill(1, MmaMatrix::a, multiply.a) || !fill(2, MmaMatrix::b, multiply.b) ||
        !fill(3, MmaMatrix::c, multiply.c) || !fill(0, MmaMatrix::d, multiply.d)) {
      return false;
    }
    emit_warp_sync(run_matrix_multiply, constant(kAllLanes, 4)).table = keep(std::move(multiply));
    return true;
  }
  WmmaMove move;
  move.store = what == 1;
  const int matrix = modifiers_.take_one({"a", "b", "c", "d"});
  if (matrix < 0) return false;
  move.matrix = static_cast<MmaMatrix>(matrix);
  const int layout = modifiers_.take_one({"row", "col"});
  move.row_major = layout == 0;
  WmmaOperation& operation = move.operation;
  int m = 0, n = 0, k = 0;
  std::optional<MmaType> type;
  Space space = Space::generic;
  for (std::string_view part = modifiers_.take_any(); !part.empty(); part = modifiers_.take_any()) {
    if (part == "global")
      space = Space::global;
    else if (part == "shared" || part == "shared::cta")
      space = Space::shared;
    else if (parse_shape(part, m, n, k))
      continue;
    else if (type = matrix_type(part); !type)
      return false;
  }
  if (!type || layout < 0 || m == 0) return false;
  operation.m = m;
  operation.n = n;
  operation.k = k;
  // The other operands' types do not matter for moving one matrix, except that tf32, f64 and the
  // small integers have shapes of their own.
  if (matrix <= 1) {
    operation.a = operation.b = *type;
    operation.d = operation.c = *type == MmaType::f64 ? MmaType::f64
                                : *type == MmaType::s8 || *type == MmaType::u8 ||
                                        *type == MmaType::s4 || *type == MmaType::u4 ||
                                        *type == MmaType::b1
                                    ? MmaType::s32
                                    : MmaType::f32;
  } else {
    operation.c = operation.d = *type;
    operation.a = operation.b = *type == MmaType::f64   ? MmaType::f64
                                : *type == MmaType::s32 ? MmaType::s8
                                : k == 8                ? MmaType::tf32
                                                        : MmaType::f16;
    if (*type == MmaType::s32 && k == 32) operation.a = operation.b = MmaType::s4;
    if (*type == MmaType::s32 && k == 128) operation.a = operation.b = MmaType::b1;
  }
  // What the product will ask of the other factor does not matter here.
  operation.a_row = matrix == 0 ? move.row_major : true;
  operation.b_row = matrix == 1 ? move.row_major : false;
  if (!supported(operation)) return refuse("this combination of shape and type");
  move.wide = *type == MmaType::f64;
  const size_t first = move.store ? 1 : 0;
  Address place;
  if (!address(operand(move.store ? 0 : 1), space, place)) return false;
  move.shared = space == Space::shared;
  move.narrow = place.narrow;
  move.has_stride = operand_count() > 2;
  const uint32_t stride = move.has_stride ? source(2, 4) : kTrueRow;
  const auto list = registers(operand(first));
  const int words = register_count(operation, move.matrix) / (move.wide ? 2 : 1);
  if (static_cast<int>(list.size()) != words) return refuse("so many registers");
  const uint32_t width = move.wide ? 8 : 4;
  for (const Operand& element : list) {
    move.rows.push_back(move.store ? source(element, width) : destination(element, width));
  }
  move.place_units();
  Op& op = emit_warp_sync(run_wmma_move, constant(kAllLanes, 4));
  op.r[0] = stride;
  op.r[4] = place.row;
  op.imm = place.offset;
  op.table = keep(std::move(move));
  return true;
}

}  // namespace assay::virtual_gpu

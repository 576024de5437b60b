// Loads, stores, atomics, asynchronous copies and fences.
#include <algorithm>
#include <bit>

#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/memory_ops.h"
#include "evaluator/device/virtual/scalar.h"
#include "evaluator/device/virtual/wide.h"

namespace assay::virtual_gpu {
namespace {

std::optional<Move> move_of(uint32_t element_bytes, uint32_t row_bytes, bool is_signed) {
  switch (row_bytes * 16 + element_bytes) {
    case 2 * 16 + 1:
      return is_signed ? Move::s8_16 : Move::u8_16;
    case 2 * 16 + 2:
      return Move::u16_16;
    case 4 * 16 + 1:
      return is_signed ? Move::s8_32 : Move::u8_32;
    case 4 * 16 + 2:
      return is_signed ? Move::s16_32 : Move::u16_32;
    case 4 * 16 + 4:
      return Move::u32_32;
    case 8 * 16 + 1:
      return is_signed ? Move::s8_64 : Move::u8_64;
    case 8 * 16 + 2:
      return is_signed ? Move::s16_64 : Move::u16_64;
    case 8 * 16 + 4:
      return is_signed ? Move::s32_64 : Move::u32_64;
    case 8 * 16 + 8:
      return Move::u64_64;
    default:
      return std::nullopt;
  }
}

// Atomic updates: (old, b, c) -> new.

uint64_t exchange(uint64_t, uint64_t b, uint64_t, uint64_t) { return b; }
uint64_t compare_and_swap(uint64_t old, uint64_t b, uint64_t c, uint64_t) {
  return old == b ? c : old;
}
uint64_t increment(uint64_t old, uint64_t b, uint64_t, uint64_t) { return old >= b ? 0 : old + 1; }
uint64_t decrement(uint64_t old, uint64_t b, uint64_t, uint64_t) {
  return old == 0 || old > b ? b : old - 1;
}
struct AtomicAdd {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    if constexpr (std::integral<T>) {
      return to_register(add_wrap(get<T>(a), get<T>(b)));
    } else {
      return to_register(add(get<T>(a), get<T>(b)));
    }
  }
};
struct AtomicMin {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(min(get<T>(a), get<T>(b)));
  }
};
struct AtomicMax {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(max(get<T>(a), get<T>(b)));
  }
};
uint64_t bits_and(uint64_t a, uint64_t b, uint64_t, uint64_t) { return a & b; }
uint64_t bits_or(uint64_t a, uint64_t b, uint64_t, uint64_t) { return a | b; }
uint64_t bits_xor(uint64_t a, uint64_t b, uint64_t, uint64_t) { return a ^ b; }

template <typename F>
Scalar half_scalar(Type type) {
  switch (type) {
    case Type::f16:
      return &F::template run<F16>;
    case Type::bf16:
      return &F::template run<BF16>;
    case Type::f16x2:
      return &F::template run<F16x2>;
    case Type::bf16x2:
      return &F::template run<BF16x2>;
    default:
      return integer_scalar<F>(type);
  }
}

Scalar atomic_update(std::string_view name, Type type) {
  const bool integral = type >= Type::b32 && !is_float(type);
  if (name == "exch") return exchange;
  if (name == "cas") return compare_and_swap;
  if (name == "inc") return type == Type::u32 ? increment : nullptr;
  if (name == "dec") return type == Type::u32 ? decrement : nullptr;
  if (name == "and") return integral ? bits_and : nullptr;
  if (name == "or") return integral ? bits_or : nullptr;
  if (name == "xor") return integral ? bits_xor : nullptr;
  if (name == "min") return half_scalar<AtomicMin>(type);
  if (name == "max") return half_scalar<AtomicMax>(type);
  if (name == "add") {
    return is_float(type) ? float_scalar<AtomicAdd>(type) : integer_scalar<AtomicAdd>(type);
  }
  return nullptr;
}

}  // namespace

bool FunctionDecoder::is_used(uint32_t reg) {
  if (register_uses_.empty()) {
    register_uses_.assign(function_.registers.size() + 1, 0);
    for (const Operand& operand : function_.operands) {
      if (operand.reg != kNone) ++register_uses_[operand.reg];
    }
    for (const Instruction& instruction : function_.instructions) {
      if (instruction.guard != kNone) ++register_uses_[instruction.guard];
    }
  }
  return register_uses_[reg] > 1;
}

/// State space, ordering and cache modifiers of ld, st, atom and red.
bool FunctionDecoder::take_memory_modifiers(Space& space, bool& soft) {
  const int ordering =
      modifiers_.take_one({"weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "mmio"});
  modifiers_.take("relaxed");  // after .mmio
  modifiers_.take_one({"cta", "cluster", "gpu", "sys"});
  soft = ordering > 0;
  constexpr Space kSpaces[] = {Space::global,         Space::shared,    Space::shared,
                               Space::shared_cluster, Space::local,     Space::constant,
                               Space::parameter,      Space::parameter, Space::parameter};
  const int which = modifiers_.take_one({"global", "shared", "shared::cta", "shared::cluster",
                                         "local", "const", "param", "param::entry", "param::func"});
  space = which < 0 ? Space::generic : kSpaces[which];
  modifiers_.take_one({"ca", "cg", "cs", "lu", "cv", "wb", "wt"});
  modifiers_.take("nc");
  modifiers_.take("noftz");
  modifiers_.take_one({"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first",
                       "L1::evict_last", "L1::no_allocate"});
  modifiers_.take_one({"L2::evict_last", "L2::evict_normal", "L2::evict_first"});
  modifiers_.take("L2::cache_hint");
  modifiers_.take_one({"L2::64B", "L2::128B", "L2::256B"});
  modifiers_.take("unified");
  return true;
}

bool FunctionDecoder::address(const Operand& memory, Space space, Address& out) {
  if (memory.kind != Operand::Kind::memory) return refuse("an operand that is no address");
  out.offset = memory.value;
  Operand base = memory;
  if (memory.reg != kNone) {
    base.kind = Operand::Kind::reg;
    base.value = 0;
    const bool own = register_width(base) == 4;
    out.narrow = own && space == Space::shared;
    out.row = source(base, out.narrow ? 4 : 8);
    return true;
  }
  if (!memory.name.empty()) {
    const Symbol symbol = find_symbol(memory.name);
    if (space == Space::generic && symbol.space != Space::global &&
        symbol.space != Space::constant) {
      return refuse("a generic access by a name of another space");
    }
    base.kind = Operand::Kind::name;
    base.value = 0;
    out.narrow = space == Space::shared;
    out.row = name_row(base, out.narrow ? 4 : 8);
    return true;
  }
  out.narrow = space == Space::shared;
  out.row = constant(0, out.narrow ? 4 : 8);
  return true;
}

bool FunctionDecoder::load() { return load_or_store(false); }
bool FunctionDecoder::store() { return load_or_store(true); }

bool FunctionDecoder::load_or_store(bool is_store) {
  Space space = Space::generic;
  bool soft = false;
  const bool waiting = !is_store && modifiers_.has("acquire");
  const bool async = is_store && modifiers_.take("async");
  const bool completes = async && modifiers_.take("mbarrier::complete_tx::bytes");
  if (async && !completes) return refuse("an asynchronous store that no mbarrier counts");
  take_memory_modifiers(space, soft);
  const int vector = modifiers_.take_one({"v2", "v4", "v8"});
  const Type type = modifiers_.take_type();
  const uint32_t bytes = bytes_of(type);
  if (bytes == 0 || bytes > 8 || vector == 2) return refuse("an access of this size");
  if (soft && !is_store) program_.only_block_barriers = false;
  const Operand value = operand(is_store ? 1 : 0);
  const Operand memory = operand(is_store ? 0 : 1);
  const std::span<const Operand> values =
      value.kind == Operand::Kind::vector ? elements(value) : std::span<const Operand>(&value, 1);
  if (values.size() != (vector < 0 ? 1u : vector == 0 ? 2u : 4u) || values.size() * bytes > 32) {
    return refuse("a vector of another length");
  }
  uint32_t row_width = std::max(bytes, 2u);
  for (const Operand& element : values) row_width = std::max(row_width, register_width(element));
  const auto move = move_of(bytes, row_width, is_signed(type));
  if (!move) return refuse("registers of this width");
  uint32_t rows[4] = {kTrueRow, kTrueRow, kTrueRow, kTrueRow};
  const std::span<const uint32_t> used(rows, values.size());
  if (is_store) {
    for (size_t i = 0; i < values.size(); ++i) rows[i] = source(values[i], row_width);
  }
  const bool named_parameter = space == Space::parameter && memory.reg == kNone;
  Address place;
  if (!named_parameter && !address(memory, space, place)) return false;
  if (!is_store) {
    for (size_t i = 0; i < values.size(); ++i) {
      rows[i] = destination(values[i], row_width, is_signed(type));
    }
  }
  if (named_parameter) return parameter_access(is_store, memory, *move, bytes, used);
  if (space == Space::parameter || space == Space::shared_cluster) {
    // By their generic address; of parameters, that is one through a register.
    const bool parameter = space == Space::parameter;
    if (parameter && (is_store || !function_.is_kernel)) {
      return refuse("a parameter through a register");
    }
    const uint32_t generic = temporary(8);
    const auto kind = parameter ? Region::Kind::parameter : Region::Kind::shared;
    emit(OpCode::add64, {generic, place.row, constant(symbols_.space->window(kind).address, 8)});
    place.row = generic;
  }
  OpCode code = is_store ? OpCode::store_global : OpCode::load_global;
  if (space == Space::shared) {
    code = is_store ? (place.narrow ? OpCode::store_shared32 : OpCode::store_shared64)
                    : (place.narrow ? OpCode::load_shared32 : OpCode::load_shared64);
  } else if (space == Space::local) {
    code = is_store ? OpCode::store_local : OpCode::load_local;
  }
  Op& op = emit(code, {rows[0], rows[1], rows[2], rows[3], place.row});
  op.imm = place.offset;
  op.width = static_cast<uint8_t>(bytes);
  op.vector = static_cast<uint8_t>(values.size());
  op.move = *move;
  op.flags = soft ? kSoftAccess : 0;
  if (waiting) emit(Control::yield);  // most often a loop that waits for another block
  if (!completes) return true;
  program_.only_block_barriers = false;
  MbarrierInfo info;
  info.kind = MbarrierKind::complete;
  info.has_count = true;
  return emit_mbarrier(info, operand(2), Space::shared, kTrueRow,
                       constant(bytes * values.size(), 4));
}

bool FunctionDecoder::parameter_access(bool is_store, const Operand& memory, Move move,
                                       uint32_t element_bytes, std::span<const uint32_t> rows) {
  const Symbol symbol = find_symbol(memory.name);
  const uint64_t size = element_bytes * rows.size();
  const auto offset = static_cast<uint64_t>(memory.value);
  if (symbol.kind != Symbol::Kind::blob && symbol.kind != Symbol::Kind::kernel_parameter) {
    return refuse("a parameter of this name");
  }
  if (offset > symbol.bytes || symbol.bytes - offset < size) {
    return refuse("an access beyond a parameter");
  }
  const auto finish = [&](Op& op) {
    std::copy(rows.begin(), rows.end(), op.r.begin());
    op.width = static_cast<uint8_t>(element_bytes);
    op.vector = static_cast<uint8_t>(rows.size());
    op.move = move;
  };
  if (symbol.kind == Symbol::Kind::kernel_parameter) {
    if (is_store) return refuse("a write to a kernel parameter");
    Op& op = emit(OpCode::load_parameter, {});
    finish(op);
    op.imm = static_cast<int64_t>(symbol.address + offset);
    return true;
  }
  Op& op = emit_handler(is_store ? store_blob : load_blob);
  finish(op);
  op.imm = memory.value;
  op.r[4] = symbol.blob.offset;
  op.r[5] = symbol.blob.stride;
  return true;
}

bool FunctionDecoder::atomic() {
  const bool returns = modifiers_.name() == "atom";
  Space space = Space::generic;
  bool soft = false;
  take_memory_modifiers(space, soft);
  const std::string_view names[] = {"exch", "cas", "inc", "dec", "and",
                                    "or",   "xor", "min", "max", "add"};
  std::string_view name;
  for (const std::string_view candidate : names) {
    if (name.empty() && modifiers_.take(candidate)) name = candidate;
  }
  const int vector = modifiers_.take_one({"v2", "v4", "v8"});
  const Type type = modifiers_.take_type();
  const bool shared = space == Space::shared || space == Space::shared_cluster;
  if (space != Space::generic && space != Space::global && !shared) return false;
  if (type == Type::b128) return vector < 0 && returns && wide_atomic(name, space);
  AtomicInfo info;
  info.update = atomic_update(name, type);
  info.bytes = bytes_of(type);
  if (name.empty() || info.update == nullptr || info.bytes < 2 || info.bytes > 8) return false;
  const size_t first = returns ? 1 : 0;
  Address place;
  if (!address(operand(first), space, place)) return false;
  info.shared = shared;
  info.narrow = place.narrow;
  const Operand sink;
  const Operand d = returns ? operand(0) : sink;
  const Operand b = operand(first + 1);
  const Operand c = name == "cas" ? operand(first + 2) : b;
  info.alignment = info.bytes;
  if (vector < 0) return emit_atomic(info, place, d, b, c, type);
  // Each element is an atomic operation of its own.
  const size_t count = size_t{2} << vector;
  const bool sinks = d.kind == Operand::Kind::sink;
  if (b.kind != Operand::Kind::vector || b.count != count || name == "cas" ||
      (!sinks && (d.kind != Operand::Kind::vector || d.count != count))) {
    return refuse("a vector of another length");
  }
  info.alignment = static_cast<uint32_t>(count * info.bytes);
  for (size_t i = 0; i < count; ++i) {
    const Operand value = elements(b)[i];
    if (!emit_atomic(info, place, sinks ? sink : elements(d)[i], value, value, type)) return false;
    place.offset += info.bytes;
    info.alignment = info.bytes;
  }
  return true;
}

bool FunctionDecoder::emit_atomic(const AtomicInfo& info, const Address& place, const Operand& d,
                                  const Operand& b, const Operand& c, Type type) {
  AtomicInfo own = info;
  own.returns = d.kind != Operand::Kind::sink;
  if (own.returns && d.kind != Operand::Kind::reg) return refuse("a result of this kind");
  if (own.returns && is_used(d.reg)) program_.only_block_barriers = false;
  const uint32_t b_row = source(b, type), c_row = source(c, type);
  const uint32_t d_row = own.returns ? destination(d, own.bytes) : kTrueRow;
  Op& op = emit_handler(run_atomic);
  op.r = {d_row, b_row, c_row, 0, place.row, 0};
  op.imm = place.offset;
  op.table = keep(own);
  op.flags = kSoftAccess;
  return true;
}

bool FunctionDecoder::wide_atomic(std::string_view name, Space space) {
  if (name != "cas" && name != "exch") return false;
  WideAtomicInfo info;
  info.compare = name == "cas";
  info.shared = space == Space::shared || space == Space::shared_cluster;
  Address place;
  if (!address(operand(1), space, place)) return false;
  info.narrow = place.narrow;
  program_.only_block_barriers = false;
  const uint32_t b = source(2, 16), c = info.compare ? source(3, 16) : b;
  const uint32_t d = destination(0, 16);
  Op& op = emit_handler(run_wide_atomic);
  op.r = {d, b, c, 0, place.row, 0};
  op.imm = place.offset;
  op.table = keep(info);
  op.flags = kSoftAccess;
  return true;
}

bool FunctionDecoder::copy_async() {
  if (!modifiers_.take("async")) return false;
  if (modifiers_.has("commit_group") || modifiers_.has("wait_group") ||
      modifiers_.has("wait_all")) {
    return no_operation();  // copies are complete at once
  }
  if (modifiers_.take("bulk")) return bulk_copy();
  if (modifiers_.take("mbarrier")) return copy_async_arrival();
  modifiers_.take_one({"ca", "cg"});
  if (!modifiers_.take("shared") && !modifiers_.take("shared::cta")) return false;
  if (!modifiers_.take("global")) return false;
  const bool hint = modifiers_.take("L2::cache_hint");
  modifiers_.take_one({"L2::64B", "L2::128B", "L2::256B"});
  CopyInfo info;
  Address to, from;
  if (!address(operand(0), Space::shared, to) || !address(operand(1), Space::global, from)) {
    return false;
  }
  const auto bytes = integer(operand(2));
  if (!bytes || (*bytes != 4 && *bytes != 8 && *bytes != 16))
    return refuse("a size that is no constant");
  info.bytes = static_cast<uint32_t>(*bytes);
  info.narrow = to.narrow;
  info.target_offset = to.offset;
  info.source_offset = from.offset;
  uint32_t size_row = kTrueRow, ignore_row = kTrueRow;
  const size_t more = operand_count() - (hint ? 1 : 0);
  if (more > 3) {
    const Operand& extra = operand(3);
    if (extra.kind == Operand::Kind::reg && register_width(extra) == 0) {
      info.has_ignore = true;
      ignore_row = predicate(extra, info.ignore_inverted);
    } else {
      info.has_size = true;
      size_row = source(3, 4);
    }
  }
  Op& op = emit_handler(run_copy_async);
  op.r = {to.row, from.row, size_row, ignore_row, 0, 0};
  op.table = keep(info);
  return true;
}

/// cp.async.mbarrier.arrive: the copies are complete, so it arrives at once. Without .noinc it
/// first adds the arrival that it makes.
bool FunctionDecoder::copy_async_arrival() {
  if (!modifiers_.take("arrive")) return false;
  const bool counted = modifiers_.take("noinc");
  const bool shared = modifiers_.take("shared") || modifiers_.take("shared::cta");
  if (!modifiers_.take("b64")) return false;
  program_.only_block_barriers = false;
  if (!counted) return no_operation();
  MbarrierInfo info;
  info.kind = MbarrierKind::arrive;
  return emit_mbarrier(info, operand(0), shared ? Space::shared : Space::generic, kTrueRow,
                       kTrueRow);
}

bool FunctionDecoder::emit_mbarrier(MbarrierInfo info, const Operand& memory, Space space,
                                    uint32_t d, uint32_t count) {
  Address place;
  if (!address(memory, space, place)) return false;
  info.shared = space == Space::shared;
  info.narrow = place.narrow;
  Op& op = emit_handler(run_mbarrier);
  op.r = {d, count, 0, 0, place.row, 0};
  op.imm = place.offset;
  op.table = keep(info);
  op.flags = kSoftAccess;
  return true;
}

bool FunctionDecoder::memory_barrier_object() {
  program_.only_block_barriers = false;
  const int what = modifiers_.take_one({"init", "inval", "arrive", "arrive_drop", "expect_tx",
                                        "complete_tx", "test_wait", "try_wait", "pending_count"});
  const bool expects = what == 2 && modifiers_.take("expect_tx");
  const bool parity = modifiers_.take("parity");
  modifiers_.take("noComplete");
  modifiers_.take_one({"release", "acquire", "relaxed"});
  modifiers_.take_one({"cta", "cluster"});
  const bool shared = modifiers_.take_one({"shared", "shared::cta", "shared::cluster"}) >= 0;
  if (what < 0 || !modifiers_.take("b64")) return false;
  const Space space = shared ? Space::shared : Space::generic;
  if (what == 8) {
    const uint32_t state = source(1, 8);
    emit_scalar(mbarrier_pending, 0, {destination(0, 4), 4}, {{state, 8}});
    return true;
  }
  MbarrierInfo info;
  if (what >= 6) {
    info.kind = parity ? MbarrierKind::test_parity : MbarrierKind::test_state;
    const uint32_t awaited = source(2, parity ? 4 : 8);
    const uint32_t p = predicate_destination(operand(0));
    if (!emit_mbarrier(info, operand(1), space, p, awaited)) return false;
    emit(Control::yield);  // whoever waits lets others run
    return true;
  }
  constexpr MbarrierKind kKinds[] = {MbarrierKind::init,   MbarrierKind::invalidate,
                                     MbarrierKind::arrive, MbarrierKind::arrive_drop,
                                     MbarrierKind::expect, MbarrierKind::complete};
  info.kind = expects ? MbarrierKind::arrive_expect : kKinds[what];
  const size_t at = operand(0).kind == Operand::Kind::memory ? 0 : 1;
  info.returns = at == 1 && operand(0).kind != Operand::Kind::sink;
  info.has_count = operand_count() > at + 1;
  const uint32_t d = info.returns ? destination(0, 8) : kTrueRow;
  const uint32_t count = info.has_count ? source(at + 1, 4) : kTrueRow;
  return emit_mbarrier(info, operand(at), space, d, count);
}

bool FunctionDecoder::bulk_copy() {
  program_.only_block_barriers = false;
  if (modifiers_.has("commit_group") || modifiers_.has("wait_group") ||
      modifiers_.has("prefetch")) {
    return no_operation();
  }
  const bool to_shared =
      !modifiers_.has("shared::cta") || modifiers_.has("mbarrier::complete_tx::bytes");
  BulkInfo info;
  info.to_shared = to_shared;
  info.has_barrier = modifiers_.take("mbarrier::complete_tx::bytes");
  modifiers_.take("bulk_group");
  modifiers_.take("L2::cache_hint");
  const bool to_cluster = modifiers_.take("shared::cluster");
  const bool own_shared = modifiers_.take("shared::cta");
  const bool global = modifiers_.take("global");
  info.from_shared = !to_shared || (to_cluster && own_shared);
  if ((to_shared && info.from_shared) == global || info.has_barrier != to_shared) return false;
  Address to, from, barrier;
  const Space shared = Space::shared;
  if (!address(operand(0), to_shared ? shared : Space::global, to) ||
      !address(operand(1), info.from_shared ? shared : Space::global, from)) {
    return false;
  }
  if (info.has_barrier && !address(operand(3), shared, barrier)) return false;
  info.narrow_target = to.narrow;
  info.narrow_source = from.narrow;
  info.narrow_barrier = barrier.narrow;
  info.target_offset = to.offset;
  info.source_offset = from.offset;
  info.barrier_offset = barrier.offset;
  const uint32_t bytes = source(2, 4);
  Op& op = emit_handler(run_bulk_copy);
  op.r = {to.row, from.row, bytes, barrier.row, 0, 0};
  op.table = keep(info);
  op.flags = kSoftAccess;
  return true;
}

bool FunctionDecoder::fence() {
  while (!modifiers_.take_any().empty()) {
  }
  emit_handler(run_fence);
  return true;
}

}  // namespace assay::virtual_gpu

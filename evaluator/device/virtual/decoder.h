// FunctionDecoder: what the decoders of the instruction families share. One object decodes one
// function. decode.cc has instructions, decode_operand.cc their operands, the other decode_*.cc the
// families.
#pragma once

#include <array>
#include <bit>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evaluator/device/virtual/codes.h"
#include "evaluator/device/virtual/decode.h"
#include "evaluator/device/virtual/memory_ops.h"
#include "evaluator/device/virtual/modifiers.h"

namespace assay::virtual_gpu {

/// Of 0 as well: the code of a predicate.
inline uint32_t log2_width(uint32_t width) {
  return width == 0 ? 0 : static_cast<uint32_t>(std::countr_zero(width));
}

class FunctionDecoder {
 public:
  FunctionDecoder(Program& program, const Function& function, Code& code, const Symbols& symbols);
  void run();
  /// Functions that this one calls or takes the address of.
  const std::vector<uint32_t>& reached() const { return reached_; }
  bool calls_pointers() const { return calls_pointers_; }

 private:
  // A family's decoder returns false where the instruction is not supported.
  using Family = bool (FunctionDecoder::*)();
  struct Entry {
    std::string_view name;
    Family family;
  };
  static Family family_of(std::string_view name);

  // Operands of the current instruction.
  const Operand& operand(size_t index) const;
  size_t operand_count() const { return operands_.size(); }
  std::span<const Operand> elements(const Operand& list) const;
  /// The row that holds an operand as `width` bytes a lane (2, 4, 8).
  uint32_t source(const Operand& operand, uint32_t width);
  uint32_t source(size_t index, uint32_t width) { return source(operand(index), width); }
  uint32_t source(const Operand& operand, Type type);
  uint32_t source(size_t index, Type type) { return source(operand(index), type); }
  /// A predicate's row; `inverted` says whether it is to be read inverted.
  uint32_t predicate(const Operand& operand, bool& inverted);
  /// The row to write; where the register is wider, the value is extended after the instruction.
  uint32_t destination(const Operand& operand, uint32_t width, bool sign_extend = false);
  uint32_t destination(size_t index, uint32_t width, bool sign_extend = false) {
    return destination(operand(index), width, sign_extend);
  }
  uint32_t predicate_destination(const Operand& operand);
  /// Bytes of a register operand's lane; 0: a predicate or no register.
  uint32_t register_width(const Operand& operand) const;
  uint32_t constant(uint64_t bits, uint32_t width);
  uint32_t temporary(uint32_t width);
  std::optional<int64_t> integer(const Operand& operand) const;

  // Emitting.
  Op& emit(OpCode code, std::initializer_list<uint32_t> rows);
  Op& emit(Control control);
  /// d = function(a, b, c): widths in bytes, 0 for predicates.
  struct Place {
    uint32_t row = 0;
    uint32_t width = 4;
  };
  Op& emit_scalar(Scalar function, uint64_t mode, Place d, std::initializer_list<Place> operands);
  /// A handler that is not vectorised.
  Op& emit_handler(Handler handler);
  /// Keeps `object` alive as long as the code.
  template <typename T>
  const T* keep(T object) {
    auto shared = std::make_shared<const T>(std::move(object));
    code_.extras.push_back(shared);
    return shared.get();
  }
  void emit_resize(uint32_t to, uint32_t to_width, uint32_t from, uint32_t from_width,
                   bool sign_extend);
  bool refuse(std::string why);

  // decode.cc
  void decode_instruction(uint32_t index);
  void finish_instruction(size_t first_op);
  void patch_branches();

  // decode_operand.cc
  void declare_blobs();
  uint32_t row_of_register(uint32_t reg);
  uint32_t allocate_row(uint32_t width, bool listed);
  struct Symbol {
    enum class Kind : uint8_t {
      none,
      address,
      local,
      blob,
      kernel_parameter,
      function
    } kind = Kind::none;
    uint64_t address = 0;  // or offset
    Blob blob;
    Space space = Space::generic;
    uint64_t bytes = 0;
  };
  Symbol find_symbol(std::string_view name);
  Symbol variable_symbol(const Variable& variable);
  uint32_t shared_offset(const Variable& variable);
  const std::vector<std::string_view>* find_table(std::string_view name) const;
  uint32_t find_label(uint32_t scope, std::string_view name) const;
  uint32_t name_row(const Operand& operand, uint32_t width);
  bool special_register(const Operand& operand, uint32_t to, uint32_t width);

  // decode_control.cc
  bool branch();
  bool branch_indexed();
  bool call();
  bool leave();
  bool exit();
  bool trap();
  bool no_operation();
  bool ignored_memory_hint();
  bool nanosleep();

  // decode_integer.cc
  bool add_subtract();
  bool carry_arithmetic();
  bool multiply();
  bool multiply_add();
  bool integer_binary();  // div rem, sad
  bool minimum_maximum();
  bool dot_product();
  bool byte_differences();  // vabsdiff4
  bool sign_operation();    // abs neg

  // decode_bits.cc
  bool bitwise();
  bool shift();
  bool funnel_shift();
  bool lop3();
  bool bit_field();
  bool bit_count();
  bool permute_bytes();
  bool extend_bits();  // szext bmsk

  // decode_float.cc
  struct FloatModifiers {
    uint64_t mode = 0;  // as scalar functions take it
    bool plain = true;  // .rn without .ftz, .sat, .relu
    bool saturate = false;
    int64_t csr = 0;  // for the *_mode operations
    bool directed = false;
    bool relu = false;
  };
  FloatModifiers float_modifiers();
  bool float_arithmetic(std::string_view name, Type type, size_t operands);
  bool float_multiply_add();
  bool divide();
  bool reciprocal_or_root();
  bool approximate();
  bool float_minimum_maximum(Type type, bool maximum);
  bool float_sign(Type type, bool absolute);
  bool copy_sign();
  bool test_property();

  // decode_move.cc
  bool move();
  bool pack_or_unpack();
  bool pack_or_unpack_wide(std::span<const Operand> parts, bool unpack);
  bool convert();
  bool convert_address();
  bool is_space();
  bool set_predicate();
  bool set_value();
  bool select();
  bool select_by_sign();

  // decode_memory.cc
  bool load();
  bool store();
  bool atomic();
  bool copy_async();
  bool fence();
  struct Address {
    uint32_t row = 0;
    bool narrow = false;  // the row has 32-bit lanes
    int64_t offset = 0;
  };
  bool load_or_store(bool is_store);
  bool emit_atomic(const AtomicInfo& info, const Address& place, const Operand& d, const Operand& b,
                   const Operand& c, Type type);
  bool wide_atomic(std::string_view name, Space space);
  bool take_memory_modifiers(Space& space, bool& soft);
  bool parameter_access(bool is_store, const Operand& memory, Move move, uint32_t element_bytes,
                        std::span<const uint32_t> rows);
  bool address(const Operand& memory, Space space, Address& out);
  bool is_used(uint32_t reg);
  bool memory_barrier_object();
  bool copy_async_arrival();
  bool bulk_copy();
  bool emit_mbarrier(MbarrierInfo info, const Operand& memory, Space space, uint32_t d,
                     uint32_t count);

  // decode_warp.cc
  bool shuffle();
  bool vote();
  bool match();
  bool reduce();
  bool active_mask();
  bool elect();
  bool map_address();
  bool rank_of_address();
  bool barrier();
  bool load_matrix();
  bool store_matrix();
  bool move_matrix();
  bool matrix_multiply();
  bool wmma();
  Op& emit_warp_sync(Handler handler, uint32_t members);

  Program& program_;
  const Function& function_;
  Code& code_;
  const Symbols& symbols_;
  uint32_t function_number_ = 0;
  std::vector<uint32_t> register_rows_;
  std::vector<Symbol> variable_places_;  // of the function's variables
  std::map<std::pair<uint32_t, uint64_t>, uint32_t> constants_;
  std::vector<std::pair<uint32_t, uint64_t>> constant_values_;
  uint32_t frame_bytes_ = kFirstFreeRow;
  std::vector<uint32_t> free_temporaries_[4];  // by log2 of the width; 0: predicates
  std::vector<std::pair<uint32_t, uint32_t>> used_temporaries_;
  std::vector<uint32_t> first_op_;  // of each instruction, and one past the last
  std::vector<uint32_t> reached_;
  bool calls_pointers_ = false;

  // The current instruction.
  const Instruction* at_ = nullptr;
  uint32_t index_ = 0;
  Modifiers modifiers_{""};
  std::vector<Operand> operands_;
  struct Extension {
    uint32_t to, to_width, from, from_width;
    bool sign_extend;
  };
  std::vector<Extension> extensions_;
  std::string problem_;
  std::vector<uint32_t> register_uses_;  // how often operands and guards name each register
};

}  // namespace assay::virtual_gpu

// A prepared SQLite statement, bound in order and stepped row by row.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace assay {

class Statement {
 public:
  Statement(sqlite3* database, std::string_view sql) : database_(database) {
    status_ = sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement_,
                                 nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  /// Binds the next parameter.
  Statement& operator<<(std::string_view text) {
    return bound(sqlite3_bind_text(statement_, ++parameter_, text.data(),
                                   static_cast<int>(text.size()), SQLITE_TRANSIENT));
  }
  Statement& operator<<(int64_t value) {
    return bound(sqlite3_bind_int64(statement_, ++parameter_, value));
  }
  Statement& operator<<(uint64_t value) { return *this << static_cast<int64_t>(value); }
  Statement& operator<<(int value) { return *this << static_cast<int64_t>(value); }
  Statement& operator<<(uint32_t value) { return *this << static_cast<int64_t>(value); }
  Statement& operator<<(double value) {
    return bound(sqlite3_bind_double(statement_, ++parameter_, value));
  }

  /// An absent value is bound as NULL.
  template <typename T>
  Statement& operator<<(const std::optional<T>& value) {
    if (value) return *this << *value;
    return bound(sqlite3_bind_null(statement_, ++parameter_));
  }

  /// True while there is a row. False at the end and after an error: see error().
  bool step() {
    if (status_ != SQLITE_OK && status_ != SQLITE_ROW) return false;
    status_ = sqlite3_step(statement_);
    return status_ == SQLITE_ROW;
  }

  /// Runs a statement without rows.
  Result<void> run() {
    step();
    return error();
  }

  Result<void> error() const {
    if (status_ == SQLITE_OK || status_ == SQLITE_ROW || status_ == SQLITE_DONE) return {};
    return Error{ErrorKind::io, std::string("the store's database: ") + sqlite3_errmsg(database_)};
  }

  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes ? std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)))
                 : std::string();
  }
  int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  double real(int column) const { return sqlite3_column_double(statement_, column); }

 private:
  Statement& bound(int status) {
    if (status_ == SQLITE_OK) status_ = status;
    return *this;
  }

  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
  int status_ = SQLITE_OK;
  int parameter_ = 0;
};

}  // namespace assay

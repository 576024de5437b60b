// Result<T>: how assay's functions report failures that have outside reasons.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace assay {

enum class ErrorKind {
  usage,        // the user asked for something that cannot be: exit status 2
  not_found,    // a file, task, case or program that should exist does not
  invalid,      // input that breaks a format or a limit: a task file, a plan, a message
  unsupported,  // valid, but outside what assay implements: never a verdict
  io,           // the operating system refused a read, write or spawn
  sandbox,      // the sandbox could not be set up
  timeout,      // a deadline of ours passed
  device,       // the device or its driver failed in a way that is not the candidate's
  internal,     // a defect in assay
};

/// The kind's name as it appears in stores and JSON, for example "not_found".
inline const char* name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::invalid:
      return "invalid";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::io:
      return "io";
    case ErrorKind::sandbox:
      return "sandbox";
    case ErrorKind::timeout:
      return "timeout";
    case ErrorKind::device:
      return "device";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

/// What went wrong, where, and what to do, in one or two sentences without a final full stop.
struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;
};

/// Either a value or an Error. Programming errors (asking for the value of a failure) assert.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    assert(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    assert(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    assert(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    assert(!ok());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

/// A Result without a value.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    assert(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace assay

#define ASSAY_CONCAT_INNER(a, b) a##b
#define ASSAY_CONCAT(a, b) ASSAY_CONCAT_INNER(a, b)

/// ASSIGN_OR_RETURN(auto x, f()): the value of a Result, or return its Error from this function.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(ASSAY_CONCAT(result_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                   \
  if (!temporary.ok()) return temporary.error();                   \
  declaration = *std::move(temporary)

/// RETURN_IF_ERROR(f()): return the Error of a Result from this function, if it is one.
#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (auto status_ = (expression); !status_.ok()) return status_.error(); \
  } while (false)

#pragma once

#include <stdexcept>
#include <string>

namespace matinee {

// Every error the core throws. Messages read "<function>: <parameter>: expected …, got …; <remedy>".
// bindings/errors.cpp maps each class to the Python class of the same name in matinee.errors.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller passed something outside the documented range.
class InvalidArgument : public Error {
 public:
  using Error::Error;
};

// The input is well-formed but above a limit that the caller can raise (bytes, pixels, items).
class TooLarge : public InvalidArgument {
 public:
  using InvalidArgument::InvalidArgument;
};

// A name, id or file that does not exist.
class NotFound : public Error {
 public:
  using Error::Error;
};

// Bytes that are not what they claim to be: truncated, corrupt, or of another version.
class FormatError : public Error {
 public:
  using Error::Error;
};

// Bytes of a kind we do not read at all (a GIF where JPEG, PNG or WebP is expected).
class UnsupportedFormat : public FormatError {
 public:
  using FormatError::FormatError;
};

// The operating system refused to read or write.
class IoError : public Error {
 public:
  using Error::Error;
};

// A broken promise of our own; please report it.
class InternalError : public Error {
 public:
  using Error::Error;
};

// More work waits already than may; the same request succeeds later.
class Overloaded : public Error {
 public:
  using Error::Error;
};

// A call was stopped on request, or whoever was to answer it has ended.
class Cancelled : public Error {
 public:
  using Error::Error;
};

}  // namespace matinee

// One model API: how a request is written and an answer is read. Each is a file of its own,
// protocol_<name>.cc, and one line in protocols().
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/http/http.h"
#include "agents/http/sse.h"
#include "agents/model/failure.h"
#include "agents/model/model.h"
#include "base/result.h"

namespace assay {

/// An answer while it arrives.
struct Decoding {
  Reply reply;
  bool complete = false;              // the API's own end was seen
  std::optional<ApiFailure> failure;  // an error inside the answer

  /// The answer with this index, made if need be; indices above 255 share the last one.
  Answer& answer(size_t index);
};

/// Stateless: everything about an answer in flight is in its Decoding.
class Protocol {
 public:
  virtual ~Protocol() = default;
  virtual std::string_view name() const = 0;
  virtual std::string_view about() const = 0;  // one line for --help
  virtual std::string_view default_base_url() const = 0;
  virtual std::string_view default_key_env() const = 0;
  virtual bool needs_key() const { return true; }
  virtual bool has_samples() const { return false; }  // n samples of one request

  /// What of the configuration this API cannot do; empty where all is well.
  virtual std::string unsupported(const ModelConfig& config) const = 0;
  virtual std::string url(const ModelConfig& config) const = 0;
  /// The headers that authorise, each "Name: value".
  virtual std::vector<std::string> authorization(const std::string& key) const = 0;
  virtual nlohmann::json body(const ModelConfig& config, const ModelRequest& request) const = 0;

  virtual void on_event(const SseEvent& event, Decoding& decoding) const = 0;
  virtual void on_body(const nlohmann::json& body, Decoding& decoding) const = 0;
  /// Called when a stream has ended; an API without an end marker decides here.
  virtual void on_close(Decoding&) const {}
};

const std::vector<const Protocol*>& protocols();
/// usage: names the nearest protocols.
Result<const Protocol*> find_protocol(const std::string& name);

/// A streamed answer, fed with bytes as they arrive.
class StreamReader {
 public:
  explicit StreamReader(const Protocol& protocol) : protocol_(protocol) {}
  /// False: nothing more is wanted (complete, or beyond repair).
  bool feed(std::string_view bytes);
  /// The end of the stream. An answer without its end has a retryable failure.
  Decoding finish();

 private:
  const Protocol& protocol_;
  SseParser parser_;
  Decoding decoding_;
};

/// A whole body. What cannot be read is a retryable failure.
Decoding read_body(const Protocol& protocol, std::string_view body);

/// Shared by the protocols: base_url or the default, and the fields of extra_body_json.
std::string base_url(const Protocol& protocol, const ModelConfig& config);
void add_extra_body(const ModelConfig& config, nlohmann::json& body);
/// Lists the set ones of these fields: the text of unsupported().
std::string not_supported(std::string_view protocol,
                          const std::vector<std::pair<bool, std::string_view>>& fields);

const Protocol& chat_protocol();
const Protocol& responses_protocol();
const Protocol& anthropic_protocol();
const Protocol& gemini_protocol();
const Protocol& compatible_protocol();

}  // namespace assay

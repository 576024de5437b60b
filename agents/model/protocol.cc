#include "agents/model/protocol.h"

#include <fmt/format.h>

#include "agents/http/json.h"
#include "tasks/nearest.h"

namespace assay {

const char* name(Finish finish) {
  switch (finish) {
    case Finish::stop:
      return "stop";
    case Finish::length:
      return "length";
    case Finish::refusal:
      return "refusal";
    case Finish::filtered:
      return "filtered";
    case Finish::other:
      return "other";
  }
  return "other";
}

Answer& Decoding::answer(size_t index) {
  index = std::min<size_t>(index, 255);
  if (reply.answers.size() <= index) reply.answers.resize(index + 1);
  return reply.answers[index];
}

const std::vector<const Protocol*>& protocols() {
  static const std::vector<const Protocol*> all = {&chat_protocol(), &responses_protocol(),
                                                   &anthropic_protocol(), &gemini_protocol(),
                                                   &compatible_protocol()};
  return all;
}

Result<const Protocol*> find_protocol(const std::string& name) {
  std::vector<std::string> known;
  for (const Protocol* protocol : protocols()) {
    if (protocol->name() == name) return protocol;
    known.emplace_back(protocol->name());
  }
  return Error{ErrorKind::usage,
               fmt::format("no model API is called {}; there are {}{}", in_quotes(name),
                           listed(known), suggestion(name, known))};
}

bool StreamReader::feed(std::string_view bytes) {
  const Result<void> fed = parser_.feed(bytes, [&](const SseEvent& event) {
    if (!decoding_.complete && !decoding_.failure) protocol_.on_event(event, decoding_);
  });
  if (!fed.ok() && !decoding_.failure) {
    decoding_.failure = truncated(fed.error().message);
    decoding_.failure->failure = FailureClass::ambiguous;
  }
  return !decoding_.complete && !decoding_.failure;
}

Decoding StreamReader::finish() {
  if (!decoding_.complete && !decoding_.failure) protocol_.on_close(decoding_);
  if (!decoding_.complete && !decoding_.failure)
    decoding_.failure = truncated("the stream ended before the answer did");
  return std::move(decoding_);
}

Decoding read_body(const Protocol& protocol, std::string_view body) {
  Decoding decoding;
  const Result<nlohmann::json> json = parse_json(body);
  if (!json.ok())
    decoding.failure = truncated("the answer cannot be read: " + json.error().message);
  else
    protocol.on_body(*json, decoding);
  if (!decoding.failure && !decoding.complete)
    decoding.failure = truncated("the answer has none of the fields that hold the text");
  return decoding;
}

std::string base_url(const Protocol& protocol, const ModelConfig& config) {
  std::string url =
      config.base_url.empty() ? std::string(protocol.default_base_url()) : config.base_url;
  while (url.ends_with('/')) url.pop_back();
  return url;
}

void add_extra_body(const ModelConfig& config, nlohmann::json& body) {
  if (config.extra_body_json.empty()) return;
  const auto extra = parse_json(config.extra_body_json);
  if (extra.ok() && extra->is_object()) body.update(*extra);
}

std::string not_supported(std::string_view protocol,
                          const std::vector<std::pair<bool, std::string_view>>& fields) {
  std::string text;
  for (const auto& [set, field] : fields)
    if (set) text += (text.empty() ? "" : ", ") + std::string(field);
  return text.empty() ? text : fmt::format("the API '{}' has no {}", protocol, text);
}

}  // namespace assay

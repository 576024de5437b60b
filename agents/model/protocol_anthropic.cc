// Anthropic Messages.
#include "agents/http/json.h"
#include "agents/model/capabilities.h"
#include "agents/model/protocol.h"

namespace assay {

namespace {

Finish finish_of(const std::string& word) {
  if (word == "end_turn" || word == "stop_sequence") return Finish::stop;
  if (word == "max_tokens" || word == "model_context_window_exceeded") return Finish::length;
  if (word == "refusal") return Finish::refusal;
  return Finish::other;
}

/// Counters are cumulative: each event's values replace those of the earlier ones.
void merge_usage(const nlohmann::json& json, Usage& usage) {
  nlohmann::json raw = nlohmann::json::object();
  if (!usage.raw_json.empty())
    if (const auto earlier = parse_json(usage.raw_json); earlier.ok()) raw = *earlier;
  raw.update(json);
  usage.raw_json = json_text(raw);
  usage.input_uncached = count_at(raw, {"input_tokens"});
  usage.input_cache_read = count_at(raw, {"cache_read_input_tokens"});
  usage.input_cache_write = count_at(raw, {"cache_creation_input_tokens"});
  usage.output_reasoning = count_at(raw, {"output_tokens_details", "thinking_tokens"});
  if (const auto output = count_at(raw, {"output_tokens"}))
    usage.output_visible = std::max<int64_t>(0, *output - usage.output_reasoning.value_or(0));
}

class Anthropic : public Protocol {
 public:
  std::string_view name() const override { return "anthropic"; }
  std::string_view about() const override { return "Anthropic Messages"; }
  std::string_view default_base_url() const override { return "https://api.anthropic.com/v1"; }
  std::string_view default_key_env() const override { return "ANTHROPIC_API_KEY"; }

  std::string unsupported(const ModelConfig& config) const override {
    const auto& budget = config.sampling.reasoning_budget;
    if (budget && *budget < 1024) return "the API 'anthropic' wants a reasoning budget >= 1024";
    if (budget && *budget >= config.sampling.max_output_tokens)
      return "the reasoning budget must be below the output cap (max_output_tokens)";
    return not_supported(name(), {{config.sampling.seed.has_value(), "seed"}});
  }

  std::string url(const ModelConfig& config) const override {
    return base_url(*this, config) + "/messages";
  }

  std::vector<std::string> authorization(const std::string& key) const override {
    std::vector<std::string> headers = {"anthropic-version: 2023-06-01"};
    if (!key.empty()) headers.push_back("x-api-key: " + key);
    return headers;
  }

  nlohmann::json body(const ModelConfig& config, const ModelRequest& request) const override {
    const Sampling& sampling = config.sampling;
    nlohmann::json body = {{"model", config.model},
                           {"max_tokens", sampling.max_output_tokens},
                           {"messages", nlohmann::json::array()}};
    if (!request.system.empty()) body["system"] = request.system;
    for (const Message& message : request.messages)
      body["messages"].push_back({{"role", message.speaker == Speaker::user ? "user" : "assistant"},
                                  {"content", message.text}});
    if (sampling.temperature) body["temperature"] = *sampling.temperature;
    if (sampling.top_p) body["top_p"] = *sampling.top_p;
    if (!sampling.stop.empty()) body["stop_sequences"] = sampling.stop;
    if (!sampling.reasoning_effort.empty()) {
      body["output_config"] = {{"effort", sampling.reasoning_effort}};
      if (thinks_adaptively(config)) body["thinking"] = {{"type", "adaptive"}};
    }
    if (sampling.reasoning_budget)
      body["thinking"] = {{"type", "enabled"}, {"budget_tokens", *sampling.reasoning_budget}};
    if (config.stream) body["stream"] = true;
    add_extra_body(config, body);
    return body;
  }

  void on_event(const SseEvent& event, Decoding& decoding) const override {
    const auto json = parse_json(event.data);
    if (!json.ok()) {
      decoding.failure = truncated("an event of the stream is no JSON");
      return;
    }
    std::string type = string_at(*json, {"type"});
    if (type.empty()) type = event.name;
    if (type == "message_start") {
      if (const auto* message = json_at(*json, {"message"})) read_head(*message, decoding);
    } else if (type == "content_block_delta") {
      const std::string kind = string_at(*json, {"delta", "type"});
      if (kind == "text_delta") decoding.answer(0).text += string_at(*json, {"delta", "text"});
      if (kind == "thinking_delta")
        decoding.answer(0).reasoning += string_at(*json, {"delta", "thinking"});
    } else if (type == "message_delta") {
      read_finish(string_at(*json, {"delta", "stop_reason"}), decoding);
      if (const auto* usage = json_at(*json, {"usage"}); usage && usage->is_object())
        merge_usage(*usage, decoding.reply.usage);
    } else if (type == "message_stop") {
      decoding.answer(0);
      decoding.complete = true;
    } else if (type == "error") {
      decoding.failure = classify_error_body(*json);
    }
  }

  void on_body(const nlohmann::json& body, Decoding& decoding) const override {
    if (string_at(body, {"type"}) == "error") {
      decoding.failure = classify_error_body(body);
      return;
    }
    if (!json_at(body, {"content"})) return;
    read_head(body, decoding);
    Answer& answer = decoding.answer(0);
    for (const nlohmann::json& block : array_at(body, {"content"})) {
      const std::string type = string_at(block, {"type"});
      if (type == "text") answer.text += string_at(block, {"text"});
      if (type == "thinking") answer.reasoning += string_at(block, {"thinking"});
    }
    read_finish(string_at(body, {"stop_reason"}), decoding);
    decoding.complete = true;
  }

 private:
  static void read_head(const nlohmann::json& message, Decoding& decoding) {
    decoding.reply.response_id = string_at(message, {"id"});
    decoding.reply.served_model = string_at(message, {"model"});
    if (const auto* usage = json_at(message, {"usage"}); usage && usage->is_object())
      merge_usage(*usage, decoding.reply.usage);
  }

  static void read_finish(const std::string& reason, Decoding& decoding) {
    if (reason.empty()) return;
    decoding.answer(0).finish_raw = reason;
    decoding.answer(0).finish = finish_of(reason);
  }
};

}  // namespace

const Protocol& anthropic_protocol() {
  static const Anthropic protocol;
  return protocol;
}

}  // namespace assay

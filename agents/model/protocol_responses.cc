// OpenAI Responses.
#include "agents/http/json.h"
#include "agents/model/protocol.h"

namespace assay {

namespace {

Usage usage_of(const nlohmann::json& json) {
  Usage usage;
  usage.raw_json = json_text(json);
  const auto input = count_at(json, {"input_tokens"});
  const auto output = count_at(json, {"output_tokens"});
  usage.input_cache_read = count_at(json, {"input_tokens_details", "cached_tokens"});
  usage.input_cache_write = count_at(json, {"input_tokens_details", "cache_write_tokens"});
  usage.output_reasoning = count_at(json, {"output_tokens_details", "reasoning_tokens"});
  if (input)
    usage.input_uncached = std::max<int64_t>(
        0, *input - usage.input_cache_read.value_or(0) - usage.input_cache_write.value_or(0));
  if (output)
    usage.output_visible = std::max<int64_t>(0, *output - usage.output_reasoning.value_or(0));
  return usage;
}

class Responses : public Protocol {
 public:
  std::string_view name() const override { return "openai-responses"; }
  std::string_view about() const override { return "OpenAI Responses"; }
  std::string_view default_base_url() const override { return "https://api.openai.com/v1"; }
  std::string_view default_key_env() const override { return "OPENAI_API_KEY"; }

  std::string unsupported(const ModelConfig& config) const override {
    return not_supported(name(), {{config.sampling.seed.has_value(), "seed"},
                                  {!config.sampling.stop.empty(), "stop"},
                                  {config.sampling.reasoning_budget.has_value(),
                                   "reasoning budget (set an effort)"}});
  }

  std::string url(const ModelConfig& config) const override {
    return base_url(*this, config) + "/responses";
  }

  std::vector<std::string> authorization(const std::string& key) const override {
    if (key.empty()) return {};
    return {"Authorization: Bearer " + key};
  }

  nlohmann::json body(const ModelConfig& config, const ModelRequest& request) const override {
    const Sampling& sampling = config.sampling;
    nlohmann::json body = {{"model", config.model},
                           {"max_output_tokens", sampling.max_output_tokens}};
    if (!request.system.empty()) body["instructions"] = request.system;
    if (request.messages.size() == 1 && request.messages[0].speaker == Speaker::user) {
      body["input"] = request.messages[0].text;
    } else {
      body["input"] = nlohmann::json::array();
      for (const Message& message : request.messages)
        body["input"].push_back({{"role", message.speaker == Speaker::user ? "user" : "assistant"},
                                 {"content", message.text}});
    }
    if (sampling.temperature) body["temperature"] = *sampling.temperature;
    if (sampling.top_p) body["top_p"] = *sampling.top_p;
    if (!sampling.reasoning_effort.empty())
      body["reasoning"] = {{"effort", sampling.reasoning_effort}};
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
    if (type == "response.output_text.delta") {
      decoding.answer(0).text += string_at(*json, {"delta"});
    } else if (type == "response.reasoning_summary_text.delta" ||
               type == "response.reasoning_text.delta") {
      decoding.answer(0).reasoning += string_at(*json, {"delta"});
    } else if (type == "response.completed" || type == "response.incomplete" ||
               type == "response.failed") {
      // The final event repeats the whole answer.
      decoding.reply.answers.clear();
      if (const auto* response = json_at(*json, {"response"})) on_body(*response, decoding);
    } else if (type == "error") {
      decoding.failure = classify_error_body(*json);
    }
  }

  void on_body(const nlohmann::json& body, Decoding& decoding) const override {
    if (const auto* error = json_at(body, {"error"}); error && !error->is_null()) {
      decoding.failure = classify_error_body(body);
      return;
    }
    const std::string status = string_at(body, {"status"});
    if (status != "completed" && status != "incomplete") {
      if (status == "failed" || status == "cancelled")
        decoding.failure = truncated("the server says: " + status);
      return;
    }
    Reply& reply = decoding.reply;
    reply.response_id = string_at(body, {"id"});
    reply.served_model = string_at(body, {"model"});
    if (const auto* usage = json_at(body, {"usage"}); usage && usage->is_object())
      reply.usage = usage_of(*usage);
    Answer& answer = decoding.answer(0);
    const std::string why = string_at(body, {"incomplete_details", "reason"});
    answer.finish_raw = why.empty() ? status : why;
    answer.finish = status == "completed"     ? Finish::stop
                    : why == "content_filter" ? Finish::filtered
                                              : Finish::length;
    for (const nlohmann::json& item : array_at(body, {"output"})) {
      if (string_at(item, {"type"}) == "reasoning")
        for (const nlohmann::json& part : array_at(item, {"summary"}))
          answer.reasoning += string_at(part, {"text"});
      if (string_at(item, {"type"}) != "message") continue;
      for (const nlohmann::json& part : array_at(item, {"content"})) {
        const std::string type = string_at(part, {"type"});
        if (type == "output_text") answer.text += string_at(part, {"text"});
        if (type == "refusal") {
          answer.text += string_at(part, {"refusal"});
          answer.finish = Finish::refusal;
        }
      }
    }
    decoding.complete = true;
  }
};

}  // namespace

const Protocol& responses_protocol() {
  static const Responses protocol;
  return protocol;
}

}  // namespace assay

// OpenAI Chat Completions, and the servers that speak it: vLLM, SGLang, llama.cpp, Ollama.
//
// The compatible servers differ in four ways: the old name of the output cap, no key by default,
// `n` that may be ignored (so it is never sent), and where reasoning and its tokens are told.
#include "agents/http/json.h"
#include "agents/model/protocol.h"

namespace assay {

namespace {

Finish finish_of(const std::string& word) {
  if (word == "stop") return Finish::stop;
  if (word == "length") return Finish::length;
  if (word == "content_filter") return Finish::filtered;
  return Finish::other;
}

Usage usage_of(const nlohmann::json& json) {
  Usage usage;
  usage.raw_json = json_text(json);
  const auto prompt = count_at(json, {"prompt_tokens"});
  const auto completion = count_at(json, {"completion_tokens"});
  usage.input_cache_read = count_at(json, {"prompt_tokens_details", "cached_tokens"});
  usage.input_cache_write = count_at(json, {"prompt_tokens_details", "cache_write_tokens"});
  usage.output_reasoning = count_at(json, {"completion_tokens_details", "reasoning_tokens"});
  if (!usage.output_reasoning) usage.output_reasoning = count_at(json, {"reasoning_tokens"});
  if (prompt)
    usage.input_uncached = std::max<int64_t>(
        0, *prompt - usage.input_cache_read.value_or(0) - usage.input_cache_write.value_or(0));
  if (completion)
    usage.output_visible = std::max<int64_t>(0, *completion - usage.output_reasoning.value_or(0));
  return usage;
}

class Chat : public Protocol {
 public:
  std::string_view name() const override { return "openai-chat"; }
  std::string_view about() const override { return "OpenAI Chat Completions"; }
  std::string_view default_base_url() const override { return "https://api.openai.com/v1"; }
  std::string_view default_key_env() const override { return "OPENAI_API_KEY"; }
  bool has_samples() const override { return true; }

  std::string unsupported(const ModelConfig& config) const override {
    return not_supported(name(), {{config.sampling.reasoning_budget.has_value(),
                                   "reasoning budget (set an effort)"}});
  }

  std::string url(const ModelConfig& config) const override {
    return base_url(*this, config) + "/chat/completions";
  }

  std::vector<std::string> authorization(const std::string& key) const override {
    if (key.empty()) return {};
    return {"Authorization: Bearer " + key};
  }

  nlohmann::json body(const ModelConfig& config, const ModelRequest& request) const override {
    nlohmann::json messages = nlohmann::json::array();
    if (!request.system.empty())
      messages.push_back({{"role", "system"}, {"content", request.system}});
    for (const Message& message : request.messages)
      messages.push_back({{"role", message.speaker == Speaker::user ? "user" : "assistant"},
                          {"content", message.text}});
    const Sampling& sampling = config.sampling;
    nlohmann::json body = {{"model", config.model}, {"messages", std::move(messages)}};
    body[cap_field()] = sampling.max_output_tokens;
    if (sampling.temperature) body["temperature"] = *sampling.temperature;
    if (sampling.top_p) body["top_p"] = *sampling.top_p;
    if (sampling.seed) body["seed"] = *sampling.seed + request.sample_index;
    if (!sampling.reasoning_effort.empty()) body["reasoning_effort"] = sampling.reasoning_effort;
    if (!sampling.stop.empty()) body["stop"] = sampling.stop;
    if (has_samples() && request.samples > 1) body["n"] = request.samples;
    if (config.stream) {
      body["stream"] = true;
      body["stream_options"] = {{"include_usage", true}};
    }
    add_extra_body(config, body);
    return body;
  }

  void on_event(const SseEvent& event, Decoding& decoding) const override {
    if (event.data == "[DONE]") {
      decoding.complete = !decoding.reply.answers.empty();
      return;
    }
    const auto json = parse_json(event.data);
    if (!json.ok()) {
      decoding.failure = truncated("an event of the stream is no JSON");
      return;
    }
    read(*json, "delta", decoding);
  }

  void on_body(const nlohmann::json& body, Decoding& decoding) const override {
    read(body, "message", decoding);
    decoding.complete = !decoding.failure && !decoding.reply.answers.empty();
  }

 protected:
  virtual const char* cap_field() const { return "max_completion_tokens"; }

 private:
  static void read(const nlohmann::json& json, std::string_view part, Decoding& decoding) {
    if (json_at(json, {"error"}) || string_at(json, {"object"}) == "error") {
      decoding.failure = classify_error_body(json);
      return;
    }
    Reply& reply = decoding.reply;
    if (const std::string id = string_at(json, {"id"}); !id.empty()) reply.response_id = id;
    if (const std::string model = string_at(json, {"model"}); !model.empty())
      reply.served_model = model;
    if (const std::string print = string_at(json, {"system_fingerprint"}); !print.empty())
      reply.fingerprint = print;
    if (const auto* usage = json_at(json, {"usage"}); usage && usage->is_object())
      reply.usage = usage_of(*usage);
    for (const nlohmann::json& choice : array_at(json, {"choices"})) {
      Answer& answer =
          decoding.answer(static_cast<size_t>(count_at(choice, {"index"}).value_or(0)));
      answer.text += string_at(choice, {part, "content"});
      for (const char* field : {"reasoning", "reasoning_content"})
        answer.reasoning += string_at(choice, {part, field});
      const std::string refusal = string_at(choice, {part, "refusal"});
      answer.text += refusal;
      const std::string finish = string_at(choice, {"finish_reason"});
      if (!refusal.empty()) answer.finish = Finish::refusal;
      if (finish.empty()) continue;
      answer.finish_raw = finish;
      if (answer.finish != Finish::refusal) answer.finish = finish_of(finish);
      if (finish == "abort") {
        decoding.failure = truncated("the server aborted the answer");
        decoding.failure->code = "abort";
      }
    }
  }
};

class Compatible : public Chat {
 public:
  std::string_view name() const override { return "openai-compatible"; }
  std::string_view about() const override {
    return "any server with Chat Completions, by base_url: vLLM, SGLang, llama.cpp, Ollama";
  }
  std::string_view default_base_url() const override { return "http://127.0.0.1:8000/v1"; }
  std::string_view default_key_env() const override { return "ASSAY_MODEL_KEY"; }
  bool needs_key() const override { return false; }
  bool has_samples() const override { return false; }

 protected:
  const char* cap_field() const override { return "max_tokens"; }
};

}  // namespace

const Protocol& chat_protocol() {
  static const Chat protocol;
  return protocol;
}

const Protocol& compatible_protocol() {
  static const Compatible protocol;
  return protocol;
}

}  // namespace assay

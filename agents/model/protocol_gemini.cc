// Gemini generateContent. Its streams have no end marker: an answer is whole when every candidate
// has a finishReason (or the prompt was blocked) by the time the connection closes.
#include <algorithm>

#include "agents/http/json.h"
#include "agents/model/protocol.h"

namespace assay {

namespace {

Finish finish_of(const std::string& word) {
  if (word == "STOP") return Finish::stop;
  if (word == "MAX_TOKENS") return Finish::length;
  for (const char* blocked : {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"})
    if (word == blocked) return Finish::filtered;
  return Finish::other;
}

Usage usage_of(const nlohmann::json& json) {
  Usage usage;
  usage.raw_json = json_text(json);
  usage.input_cache_read = count_at(json, {"cachedContentTokenCount"});
  if (const auto prompt = count_at(json, {"promptTokenCount"}))
    usage.input_uncached = std::max<int64_t>(0, *prompt - usage.input_cache_read.value_or(0)) +
                           count_at(json, {"toolUsePromptTokenCount"}).value_or(0);
  usage.output_visible = count_at(json, {"candidatesTokenCount"});
  usage.output_reasoning = count_at(json, {"thoughtsTokenCount"});
  return usage;
}

class Gemini : public Protocol {
 public:
  std::string_view name() const override { return "gemini"; }
  std::string_view about() const override { return "Gemini generateContent"; }
  std::string_view default_base_url() const override {
    return "https://generativelanguage.googleapis.com/v1beta";
  }
  std::string_view default_key_env() const override { return "GEMINI_API_KEY"; }
  bool has_samples() const override { return true; }

  std::string unsupported(const ModelConfig&) const override { return {}; }

  std::string url(const ModelConfig& config) const override {
    return base_url(*this, config) + "/models/" + config.model +
           (config.stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
  }

  std::vector<std::string> authorization(const std::string& key) const override {
    if (key.empty()) return {};
    return {"x-goog-api-key: " + key};
  }

  nlohmann::json body(const ModelConfig& config, const ModelRequest& request) const override {
    const Sampling& sampling = config.sampling;
    nlohmann::json contents = nlohmann::json::array();
    for (const Message& message : request.messages)
      contents.push_back({{"role", message.speaker == Speaker::user ? "user" : "model"},
                          {"parts", {{{"text", message.text}}}}});
    nlohmann::json generation = {{"maxOutputTokens", sampling.max_output_tokens}};
    if (sampling.temperature) generation["temperature"] = *sampling.temperature;
    if (sampling.top_p) generation["topP"] = *sampling.top_p;
    if (sampling.seed) generation["seed"] = *sampling.seed + request.sample_index;
    if (!sampling.stop.empty()) generation["stopSequences"] = sampling.stop;
    if (request.samples > 1) generation["candidateCount"] = request.samples;
    if (sampling.reasoning_budget)
      generation["thinkingConfig"]["thinkingBudget"] = *sampling.reasoning_budget;
    if (!sampling.reasoning_effort.empty())
      generation["thinkingConfig"]["thinkingLevel"] = sampling.reasoning_effort;
    nlohmann::json body = {{"contents", std::move(contents)},
                           {"generationConfig", std::move(generation)}};
    if (!request.system.empty())
      body["systemInstruction"] = {{"parts", {{{"text", request.system}}}}};
    add_extra_body(config, body);
    return body;
  }

  void on_event(const SseEvent& event, Decoding& decoding) const override {
    const auto json = parse_json(event.data);
    if (!json.ok()) {
      decoding.failure = truncated("an event of the stream is no JSON");
      return;
    }
    read(*json, decoding);
  }

  void on_body(const nlohmann::json& body, Decoding& decoding) const override {
    if (body.is_array())
      for (const nlohmann::json& part : body) read(part, decoding);
    else
      read(body, decoding);
    on_close(decoding);
  }

  void on_close(Decoding& decoding) const override {
    const auto& answers = decoding.reply.answers;
    decoding.complete =
        !decoding.failure && !answers.empty() &&
        std::ranges::none_of(answers, [](const Answer& a) { return a.finish_raw.empty(); });
  }

 private:
  static void read(const nlohmann::json& json, Decoding& decoding) {
    if (json_at(json, {"error"})) {
      decoding.failure = classify_error_body(json);
      return;
    }
    Reply& reply = decoding.reply;
    if (const std::string id = string_at(json, {"responseId"}); !id.empty()) reply.response_id = id;
    if (const std::string model = string_at(json, {"modelVersion"}); !model.empty())
      reply.served_model = model;
    if (const auto* usage = json_at(json, {"usageMetadata"}); usage && usage->is_object())
      reply.usage = usage_of(*usage);
    const std::string blocked = string_at(json, {"promptFeedback", "blockReason"});
    if (!blocked.empty()) {
      decoding.answer(0).finish = Finish::filtered;
      decoding.answer(0).finish_raw = blocked;
    }
    for (const nlohmann::json& candidate : array_at(json, {"candidates"})) {
      Answer& answer =
          decoding.answer(static_cast<size_t>(count_at(candidate, {"index"}).value_or(0)));
      for (const nlohmann::json& part : array_at(candidate, {"content", "parts"})) {
        const auto* thought = json_at(part, {"thought"});
        const bool thinking = thought && thought->is_boolean() && thought->get<bool>();
        (thinking ? answer.reasoning : answer.text) += string_at(part, {"text"});
      }
      const std::string finish = string_at(candidate, {"finishReason"});
      if (finish.empty()) continue;
      answer.finish_raw = finish;
      answer.finish = finish_of(finish);
    }
  }
};

}  // namespace

const Protocol& gemini_protocol() {
  static const Gemini protocol;
  return protocol;
}

}  // namespace assay

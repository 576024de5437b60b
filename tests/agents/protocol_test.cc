// The bytes that each API is sent and answers with, as its vendor documents them.
#include "agents/model/protocol.h"

#include <gtest/gtest.h>

#include "agents/http/json.h"

namespace assay {
namespace {

ModelConfig config(const std::string& protocol, bool stream) {
  ModelConfig config;
  config.protocol = protocol;
  config.model = "m";
  config.stream = stream;
  config.sampling.max_output_tokens = 2048;
  return config;
}

ModelRequest request() { return {"S", {{Speaker::user, "U"}}, 1, 0}; }

std::string body(const std::string& protocol, const ModelConfig& configuration,
                 const ModelRequest& asked) {
  return json_text((*find_protocol(protocol))->body(configuration, asked));
}

Decoding stream(const std::string& protocol, const std::string& text) {
  StreamReader reader(**find_protocol(protocol));
  for (size_t at = 0; at < text.size(); at += 7) reader.feed(text.substr(at, 7));
  return reader.finish();
}

std::string data(const std::string& json) { return "data: " + json + "\n\n"; }

TEST(ProtocolTest, WritesTheSmallestBodyOfEachApi) {
  EXPECT_EQ(body("openai-chat", config("openai-chat", false), request()),
            R"({"max_completion_tokens":2048,"messages":[{"content":"S","role":"system"},)"
            R"({"content":"U","role":"user"}],"model":"m"})");
  EXPECT_EQ(body("openai-compatible", config("openai-compatible", true), request()),
            R"({"max_tokens":2048,"messages":[{"content":"S","role":"system"},)"
            R"({"content":"U","role":"user"}],"model":"m","stream":true,)"
            R"("stream_options":{"include_usage":true}})");
  EXPECT_EQ(body("openai-responses", config("openai-responses", false), request()),
            R"({"input":"U","instructions":"S","max_output_tokens":2048,"model":"m"})");
  EXPECT_EQ(body("anthropic", config("anthropic", false), request()),
            R"({"max_tokens":2048,"messages":[{"content":"U","role":"user"}],"model":"m",)"
            R"("system":"S"})");
  EXPECT_EQ(body("gemini", config("gemini", true), request()),
            R"({"contents":[{"parts":[{"text":"U"}],"role":"user"}],)"
            R"("generationConfig":{"maxOutputTokens":2048},)"
            R"("systemInstruction":{"parts":[{"text":"S"}]}})");
}

TEST(ProtocolTest, WritesEverySamplingParameterUnderTheApisOwnName) {
  ModelConfig full = config("gemini", false);
  full.sampling.temperature = 0.5;
  full.sampling.top_p = 0.25;
  full.sampling.stop = {"END"};
  ModelRequest asked = request();
  asked.samples = 3;
  asked.sample_index = 4;
  ModelConfig seeded = full;
  seeded.sampling.seed = 10;
  seeded.sampling.reasoning_budget = 1500;
  EXPECT_EQ(body("gemini", seeded, asked),
            R"({"contents":[{"parts":[{"text":"U"}],"role":"user"}],"generationConfig":)"
            R"({"candidateCount":3,"maxOutputTokens":2048,"seed":14,"stopSequences":["END"],)"
            R"("temperature":0.5,"thinkingConfig":{"thinkingBudget":1500},"topP":0.25},)"
            R"("systemInstruction":{"parts":[{"text":"S"}]}})");
  ModelConfig thinking = full;
  thinking.sampling.reasoning_budget = 1500;
  thinking.sampling.reasoning_effort = "low";
  EXPECT_EQ(body("anthropic", thinking, asked),
            R"({"max_tokens":2048,"messages":[{"content":"U","role":"user"}],"model":"m",)"
            R"("output_config":{"effort":"low"},"stop_sequences":["END"],"system":"S",)"
            R"("temperature":0.5,"thinking":{"budget_tokens":1500,"type":"enabled"},)"
            R"("top_p":0.25})");
  ModelConfig chat = full;
  chat.sampling.seed = 10;
  chat.sampling.reasoning_effort = "high";
  chat.extra_body_json = R"({"top_k":7})";
  EXPECT_EQ(body("openai-chat", chat, asked),
            R"({"max_completion_tokens":2048,"messages":[{"content":"S","role":"system"},)"
            R"({"content":"U","role":"user"}],"model":"m","n":3,"reasoning_effort":"high",)"
            R"("seed":14,"stop":["END"],"temperature":0.5,"top_k":7,"top_p":0.25})");
}

TEST(ProtocolTest, RefusesParametersThatAnApiLacks) {
  ModelConfig seeded = config("anthropic", true);
  seeded.sampling.seed = 1;
  EXPECT_NE((*find_protocol("anthropic"))->unsupported(seeded).find("seed"), std::string::npos);
  EXPECT_NE((*find_protocol("openai-responses"))->unsupported(seeded), "");
  EXPECT_EQ((*find_protocol("gemini"))->unsupported(seeded), "");
  EXPECT_NE(find_protocol("anthropc").error().message.find("anthropic"), std::string::npos);
}

TEST(ProtocolTest, ReadsChatStreams) {
  const Decoding decoding = stream(
      "openai-chat",
      data(R"({"id":"c1","object":"chat.completion.chunk","model":"m-2","system_fingerprint":"f",)"
           R"("choices":[{"index":0,"delta":{"role":"assistant","content":""}}]})") +
          ": ping\n\n" + data(R"({"id":"c1","choices":[{"index":1,"delta":{"content":"two"}}]})") +
          data(R"({"id":"c1","choices":[{"index":0,"delta":{"content":"héllo"}}]})") +
          data(R"({"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})") +
          data(R"({"id":"c1","choices":[{"index":1,"delta":{},"finish_reason":"length"}]})") +
          data(R"({"id":"c1","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":30,)"
               R"("prompt_tokens_details":{"cached_tokens":60},)"
               R"("completion_tokens_details":{"reasoning_tokens":10}}})") +
          "data: [DONE]\n\n");
  ASSERT_TRUE(decoding.complete);
  EXPECT_FALSE(decoding.failure);
  ASSERT_EQ(decoding.reply.answers.size(), 2u);
  EXPECT_EQ(decoding.reply.answers[0].text, "héllo");
  EXPECT_EQ(decoding.reply.answers[0].finish, Finish::stop);
  EXPECT_EQ(decoding.reply.answers[1].text, "two");
  EXPECT_EQ(decoding.reply.answers[1].finish, Finish::length);
  EXPECT_EQ(decoding.reply.served_model, "m-2");
  EXPECT_EQ(decoding.reply.fingerprint, "f");
  EXPECT_EQ(decoding.reply.usage.input_uncached, 40);
  EXPECT_EQ(decoding.reply.usage.input_cache_read, 60);
  EXPECT_EQ(decoding.reply.usage.output_visible, 20);
  EXPECT_EQ(decoding.reply.usage.output_reasoning, 10);
}

TEST(ProtocolTest, ReadsWhatCompatibleServersAdd) {
  const Decoding vllm = read_body(
      compatible_protocol(),
      R"({"choices":[{"index":0,"message":{"role":"assistant","reasoning":"hm","content":"x"},)"
      R"("finish_reason":"stop","matched_stop":2}],)"
      R"("usage":{"prompt_tokens":5,"completion_tokens":9,"reasoning_tokens":4}})");
  ASSERT_TRUE(vllm.complete);
  EXPECT_EQ(vllm.reply.answers[0].reasoning, "hm");
  EXPECT_EQ(vllm.reply.usage.output_reasoning, 4);
  EXPECT_EQ(vllm.reply.usage.output_visible, 5);
  const Decoding without = read_body(
      compatible_protocol(), R"({"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]})");
  ASSERT_TRUE(without.complete);
  EXPECT_FALSE(without.reply.usage.output_visible);  // not told is not zero
  const Decoding aborted =
      read_body(compatible_protocol(),
                R"({"choices":[{"message":{"content":"x"},"finish_reason":"abort"}]})");
  ASSERT_TRUE(aborted.failure);
  EXPECT_EQ(aborted.failure->failure, FailureClass::retry);
  const Decoding flat =
      read_body(compatible_protocol(), R"({"object":"error","message":"bad","code":400})");
  ASSERT_TRUE(flat.failure);
  EXPECT_EQ(flat.failure->failure, FailureClass::fail_sample);
}

TEST(ProtocolTest, ReadsResponsesStreams) {
  const Decoding decoding = stream(
      "openai-responses",
      "event: response.created\n" +
          data(R"({"type":"response.created","response":{"status":"in_progress"}})") +
          data(R"({"type":"response.output_text.delta","delta":"he"})") +
          data(R"({"type":"response.output_text.delta","delta":"llo"})") +
          data(R"({"type":"response.completed","response":{"id":"r1","model":"m-3","status":)"
               R"("completed","error":null,"output":[{"type":"reasoning","summary":[{"type":)"
               R"("summary_text","text":"why"}]},{"type":"message","content":[{"type":)"
               R"("output_text","text":"hello"}]}],"usage":{"input_tokens":10,)"
               R"("input_tokens_details":{"cached_tokens":4},"output_tokens":8,)"
               R"("output_tokens_details":{"reasoning_tokens":5}}}})"));
  ASSERT_TRUE(decoding.complete);
  EXPECT_EQ(decoding.reply.answers[0].text, "hello");
  EXPECT_EQ(decoding.reply.answers[0].reasoning, "why");
  EXPECT_EQ(decoding.reply.usage.input_uncached, 6);
  EXPECT_EQ(decoding.reply.usage.output_visible, 3);
  const Decoding failed =
      stream("openai-responses",
             data(R"({"type":"response.failed","response":{"status":"failed","error":{"code":)"
                  R"("rate_limit_exceeded","message":"slow"}}})"));
  ASSERT_TRUE(failed.failure);
  EXPECT_EQ(failed.failure->failure, FailureClass::rate_limit);
  const Decoding incomplete =
      read_body(responses_protocol(),
                R"({"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},)"
                R"("output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]})");
  ASSERT_TRUE(incomplete.complete);
  EXPECT_EQ(incomplete.reply.answers[0].finish, Finish::refusal);
}

TEST(ProtocolTest, ReadsAnthropicStreams) {
  const Decoding decoding =
      stream("anthropic",
             "event: message_start\n" +
                 data(R"({"type":"message_start","message":{"id":"msg_1","model":"m-4","usage":)"
                      R"({"input_tokens":7,"cache_read_input_tokens":3,)"
                      R"("cache_creation_input_tokens":2,"output_tokens":1}}})") +
                 "event: ping\n" + data(R"({"type":"ping"})") +
                 data(R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta",)"
                      R"("thinking":"hm"}})") +
                 data(R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta",)"
                      R"("text":"hello"}})") +
                 data(R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},)"
                      R"("usage":{"output_tokens":42}})") +
                 data(R"({"type":"message_stop"})"));
  ASSERT_TRUE(decoding.complete);
  EXPECT_EQ(decoding.reply.answers[0].text, "hello");
  EXPECT_EQ(decoding.reply.answers[0].reasoning, "hm");
  EXPECT_EQ(decoding.reply.usage.input_uncached, 7);
  EXPECT_EQ(decoding.reply.usage.input_cache_read, 3);
  EXPECT_EQ(decoding.reply.usage.input_cache_write, 2);
  EXPECT_EQ(decoding.reply.usage.output_visible, 42);
  const Decoding overloaded =
      stream("anthropic", data(R"({"type":"message_start","message":{}})") + "event: error\n" +
                              data(R"({"type":"error","error":{"type":"overloaded_error",)"
                                   R"("message":"Overloaded"}})"));
  ASSERT_TRUE(overloaded.failure);
  EXPECT_EQ(overloaded.failure->failure, FailureClass::retry);
  const Decoding refusal =
      read_body(anthropic_protocol(), R"({"content":[],"stop_reason":"refusal","usage":{}})");
  ASSERT_TRUE(refusal.complete);
  EXPECT_EQ(refusal.reply.answers[0].finish, Finish::refusal);
}

TEST(ProtocolTest, ReadsGeminiStreams) {
  const std::string start =
      data(R"({"candidates":[{"index":0,"content":{"parts":[{"text":"hm","thought":true},)"
           R"({"text":"hel"}]}}],"responseId":"g1","modelVersion":"m-5"})");
  const Decoding decoding = stream(
      "gemini", start + data(R"({"candidates":[{"content":{"parts":[{"text":"lo"}]},)"
                             R"("finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":20,)"
                             R"("cachedContentTokenCount":5,"candidatesTokenCount":6,)"
                             R"("thoughtsTokenCount":9}})"));
  ASSERT_TRUE(decoding.complete);
  EXPECT_EQ(decoding.reply.answers[0].text, "hello");
  EXPECT_EQ(decoding.reply.answers[0].reasoning, "hm");
  EXPECT_EQ(decoding.reply.usage.input_uncached, 15);
  EXPECT_EQ(decoding.reply.usage.output_visible, 6);
  EXPECT_EQ(decoding.reply.usage.output_reasoning, 9);
  const Decoding cut = stream("gemini", start);  // closed before a finishReason
  ASSERT_TRUE(cut.failure);
  EXPECT_EQ(cut.failure->code, "truncated");
  const Decoding blocked =
      read_body(gemini_protocol(), R"({"promptFeedback":{"blockReason":"SAFETY"}})");
  ASSERT_TRUE(blocked.complete);
  EXPECT_EQ(blocked.reply.answers[0].finish, Finish::filtered);
}

TEST(ProtocolTest, AStreamWithoutItsEndIsNeverAShortSuccess) {
  const std::pair<const char*, std::string> cuts[] = {
      {"openai-chat", data(R"({"choices":[{"delta":{"content":"half"},"finish_reason":"stop"}]})")},
      {"openai-responses", data(R"({"type":"response.output_text.delta","delta":"half"})")},
      {"anthropic", data(R"({"type":"content_block_delta","delta":{"type":"text_delta",)"
                         R"("text":"half"}})")},
  };
  for (const auto& [protocol, text] : cuts) {
    const Decoding decoding = stream(protocol, text);
    EXPECT_FALSE(decoding.complete) << protocol;
    ASSERT_TRUE(decoding.failure) << protocol;
    EXPECT_EQ(decoding.failure->failure, FailureClass::retry) << protocol;
  }
}

TEST(ProtocolTest, SurvivesValuesOfTheWrongType) {
  const char* bodies[] = {"[]",
                          "null",
                          "3",
                          R"({"choices":{}})",
                          R"({"choices":[3,null,[]]})",
                          R"({"choices":[{"index":-5,"message":[]}],"usage":7})",
                          R"({"content":[{"type":7}],"stop_reason":[]})",
                          R"({"candidates":[{"content":{"parts":{}}}]})",
                          R"({"choices":[{"index":99999999999,"message":{"content":"x"}}]})",
                          R"({"status":"completed","output":[{"type":"message","content":3}]})"};
  for (const Protocol* protocol : protocols())
    for (const char* text : bodies) {
      (void)read_body(*protocol, text);
      (void)stream(std::string(protocol->name()), data(text));
    }
}

}  // namespace
}  // namespace assay

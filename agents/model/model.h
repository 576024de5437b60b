// What is asked of a model and what comes back, the same for every API.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace assay {

enum class Speaker { user, assistant };

struct Message {
  Speaker speaker = Speaker::user;
  std::string text;
};

/// Sampling parameters. What is absent is not sent; what is present is never dropped silently: an
/// API that lacks it refuses the agent when it is made.
struct Sampling {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int64_t> seed;  // sent as seed + sample index, so that samples differ
  int max_output_tokens = 16384;
  std::string reasoning_effort;         // "low", "medium", "high" ... as the API spells it
  std::optional<int> reasoning_budget;  // tokens
  std::vector<std::string> stop;
};

/// One model behind one API: all of it configuration.
struct ModelConfig {
  std::string protocol;  // a name of protocols()
  std::string model;
  std::string base_url;         // without a final slash; empty: the protocol's own
  std::string key_env;          // the variable that holds the key; empty: the protocol's own
  std::string key_file;         // read instead of the variable, if set
  std::string extra_body_json;  // fields added to every body, for example vLLM's top_k
  bool stream = true;
  int samples_per_request = 1;  // the API's n, where it has one
  Sampling sampling;
};

struct ModelRequest {
  std::string system;
  std::vector<Message> messages;
  int samples = 1;
  int64_t sample_index = 0;  // added to the seed
};

/// Counters that do not overlap; absent is "not told", never 0.
struct Usage {
  std::optional<int64_t> input_uncached;
  std::optional<int64_t> input_cache_read;
  std::optional<int64_t> input_cache_write;
  std::optional<int64_t> output_visible;  // all output where the API does not tell reasoning apart
  std::optional<int64_t> output_reasoning;
  std::string raw_json;  // as the server wrote it

  int64_t total() const {
    return input_uncached.value_or(0) + input_cache_read.value_or(0) +
           input_cache_write.value_or(0) + output_visible.value_or(0) +
           output_reasoning.value_or(0);
  }
};

enum class Finish { stop, length, refusal, filtered, other };
const char* name(Finish finish);

struct Answer {
  std::string text;
  std::string reasoning;  // as far as the API shows it
  Finish finish = Finish::other;
  std::string finish_raw;  // the server's word
};

struct Reply {
  std::vector<Answer> answers;  // by index
  Usage usage;
  std::string served_model;
  std::string fingerprint;
  std::string response_id;
};

}  // namespace assay

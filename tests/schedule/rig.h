// rig.h — a batch on a device whose logits are a hash of the tokens that it finds in the pages of a
// sequence: a page that is lost, shared with the wrong text or written to twice gives other tokens.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "core/model/decoder.h"
#include "core/model/synthetic.h"
#include "core/schedule/batch.h"
#include "core/schedule/ticket.h"
#include "core/text/stream.h"
#include "tests/exec/fake_device.h"

namespace ropewalk::test {

constexpr uint32_t kVocab = 64;
constexpr int32_t kEnd = 2;
constexpr uint32_t kPage = 256;

// The law of the model: the logits after `history`.
class History {
 public:
  void push(int32_t token) { hash_ = mix(hash_ ^ static_cast<uint64_t>(token + 1)); }
  void fill(std::span<float> logits) const {
    for (size_t i = 0; i < logits.size(); ++i)
      logits[i] = static_cast<float>(mix(hash_ + i) >> 40) * 0x1p-22f;  // 0 to 4
  }

 private:
  static uint64_t mix(uint64_t x) {  // splitmix64
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  uint64_t hash_ = 0;
};

// A link with a memory: what it does depends on what was accepted. Leaves the choice to the draw.
class Drifting final : public abi::Sampler {
 public:
  explicit Drifting(bool fails) : fails_(fails) {}
  abi::Status apply(abi::Candidates& candidates,
                    const abi::SampleContext& context) noexcept override {
    if (fails_ && context.history.size() > context.prompt_length + 2)
      return abi::fail(abi::StatusCode::internal, "it fails at the fourth token");
    for (abi::Candidate& candidate : std::span(candidates.data, candidates.size))
      if ((candidate.id + sum_) % 3 == 0) candidate.logit += 1;
    return {};
  }
  abi::Status accept(int32_t id) noexcept override {
    sum_ += id;
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  bool fails_;
  int32_t sum_ = 0;
};

inline const Tokenizer& tokenizer() {
  static const Tokenizer tokenizer =
      Tokenizer::open(std::string(RW_SOURCE_DIR) + "/models/airophin-mini", {});
  return tokenizer;
}

// "drifting", "failing"; no samplers: greedy.
inline Chain make_chain(std::span<const PluginChoice> samplers, uint64_t seed) {
  std::vector<ChainLink> links;
  for (const PluginChoice& choice : samplers)
    links.push_back({choice.name, Owned<abi::Sampler>(new Drifting(choice.name == "failing"))});
  return Chain(std::move(links), seed);
}

inline Vocabulary vocabulary() {
  static const std::vector<int32_t> end_ids = {kEnd};
  return {&tokenizer(), end_ids, kVocab, kVocab};
}

inline Request request(std::vector<int32_t> prompt, uint32_t max_new_tokens, uint64_t seed) {
  Request request;
  request.prompt_ids = std::move(prompt);
  request.sampling = {{"drifting", "sampling[0]"}};
  request.seed = seed;
  request.max_new_tokens = max_new_tokens;
  return request;
}

// `count` tokens that begin a text of their own.
inline std::vector<int32_t> prompt(uint32_t count, uint32_t which) {
  std::vector<int32_t> ids;
  for (uint32_t i = 0; i < count; ++i)
    ids.push_back(static_cast<int32_t>(3 + (i * 7 + which * 11 + i / 60) % 61));
  return ids;
}

// What a client has read of one request.
struct Heard {
  std::vector<int32_t> ids;
  std::vector<std::optional<double>> logprobs;
  std::vector<std::vector<IdLogprob>> tops;
  std::vector<std::optional<double>> prompt_logprobs;
  std::string text;
  std::optional<Ending> end;

  void hear(const Update& update) {
    for (const ScoredToken& token : update.prompt) prompt_logprobs.push_back(token.logprob);
    for (const NewToken& token : update.tokens) {
      ids.push_back(token.token.id);
      logprobs.push_back(token.token.logprob);
      tops.push_back(token.token.top);
    }
    text += update.text;
    if (update.end) end = update.end;
  }
};

// What the request says where nobody else is served: by the law, without pages, steps or Running.
// `poison` is a token whose row is not finite.
inline Heard alone(const Request& request, uint32_t capacity, int32_t poison = -1) {
  Heard heard;
  History history;
  std::vector<int32_t> ids = request.prompt_ids;
  std::vector<float> logits(kVocab);
  const bool scores = request.logprobs && request.logprobs->prompt;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (scores)
      heard.prompt_logprobs.push_back(i == 0 ? std::nullopt
                                             : std::optional(log_probability(logits, ids[i])));
    history.push(ids[i]);
    if (scores) history.fill(logits);
  }
  Chain chain = make_chain(request.sampling, request.seed);
  TextStream stream(request.stops, request.leading_space);
  const size_t most = std::min<size_t>(ids.size() + request.max_new_tokens, capacity);
  Ending end;
  // The last row of a scored prompt is read even where no token is asked for.
  while (ids.size() < most || (scores && heard.ids.empty() && ids.back() == poison)) {
    if (ids.back() == poison) {
      end.finish = Finish::failed;
      end.cause = EndCause::request;
      break;
    }
    history.fill(logits);
    const int32_t id = chain.sample(logits, ids, static_cast<uint32_t>(request.prompt_ids.size()));
    ids.push_back(id);
    history.push(id);
    heard.ids.push_back(id);
    heard.logprobs.push_back(request.logprobs ? std::optional(log_probability(logits, id))
                                              : std::nullopt);
    heard.tops.push_back(request.logprobs ? likeliest(logits, kVocab, request.logprobs->top)
                                          : std::vector<IdLogprob>());
    if (id == kEnd || std::ranges::find(request.stop_ids, id) != request.stop_ids.end()) {
      end.finish = Finish::stop;
      break;
    }
    heard.text += stream.push(tokenizer().text_of(id));
    if (stream.stopped_by()) {
      end.finish = Finish::stop;
      break;
    }
  }
  heard.text += stream.finish();
  heard.end = end;
  return heard;
}

// A tiny model on the fake device. Made once: a rig borrows it.
struct TinyModel {
  static constexpr uint32_t kContext = 16 * kPage;

  explicit TinyModel(const abi::ProgramShape& widest)
      : shape(widest),
        weights(make_synthetic(config(), std::nullopt, 1)),
        model(device, *weights,
              build_decoder(*weights, {abi::DType::f32, abi::DType::f16, 64, 1.0,
                                       abi::KeyRotation::before_cache, kPage}),
              settings()) {}

  static ModelConfig config() {
    ModelConfig config;
    config.vocab_size = kVocab;
    config.hidden_size = config.intermediate_size = 32;
    config.layers = config.heads = config.kv_heads = 1;
    config.head_dim = 32;
    config.max_position = kContext;
    config.rms_norm_eps = 1e-5;
    return config;
  }
  LoadSettings settings() const {
    LoadSettings settings;
    settings.programs = shapes_within(shape);
    settings.device_name = "fake";
    return settings;
  }

  FakeDevice device;
  abi::ProgramShape shape;
  std::unique_ptr<WeightSource> weights;
  LoadedModel model;
};

class Rig {
 public:
  Rig(TinyModel& tiny, uint32_t pages, const ScheduleSettings& settings, bool rope_varies = false)
      : settings_(settings),
        policy_(rope_varies),
        rope_(policy_, {32, 10000.0, TinyModel::kContext, 0, TinyModel::kContext},
              RopeMode::hf_compat, {32}),
        cache(pages, kPage, TinyModel::kContext),
        executor_(tiny.device, tiny.model, rope_, tiny.shape),
        device(tiny.device),
        batch(served(), settings, [this] { return Time(now); }),
        memory_(size_t{pages} * kPage, -1) {
    device.on_wait = {};
    device.steps.clear();
    device.on_step = [this](const SeenStep& step) { write_pages(step); };
    device.row_of = [this](const SeenStep& step, uint32_t row, std::span<float> logits) {
      read_pages(step, row, logits);
    };
  }

  Served served() { return {executor_, cache, rope_, vocabulary(), make_chain}; }

  // Submits. Returns which one it is.
  size_t add(const Request& request, const Terms& terms = {}) {
    auto job = std::make_unique<Job>(cache, rope_, vocabulary(), request,
                                     make_chain(request.sampling, request.seed));
    job->terms = terms;
    job->submitted = Time(now);
    job->number = tickets.size();
    job->outbox = std::make_shared<Outbox>(settings_.reader_bytes, [this] { ++wakes; });
    tickets.push_back(std::make_unique<Ticket>(job->outbox));
    heard.emplace_back();
    ended.push_back(0);
    batch.add(std::move(job));
    return tickets.size() - 1;
  }

  // Reads what there is of one.
  const Heard& read(size_t which) {
    heard[which].hear(tickets[which]->take());
    if (heard[which].end && ended[which] == 0) ended[which] = ++ends_;
    return heard[which];
  }
  // A step, after which everybody reads.
  bool step() {
    const bool ran = batch.step();
    for (size_t i = 0; i < tickets.size(); ++i) read(i);
    return ran;
  }
  void run() {
    for (int i = 0; i < 100000 && !batch.empty(); ++i) {
      step();
      device.steps.clear();
    }
    if (!batch.empty()) fault = "it never ends";
  }
  // Every page is free, known or used, and none is used once nothing runs. What is wrong so far.
  std::string checked() {
    const Metrics& metrics = batch.metrics();
    if (cache.free_pages() + metrics.pages_cached + metrics.pages_used != cache.pages() ||
        (batch.empty() && metrics.pages_used != 0))
      fault = "a page is lost";
    return fault;
  }

 private:
  size_t slot(const SeenStep& step, uint32_t sequence, uint32_t position) const {
    const uint32_t page = step.page[sequence * step.shape.pages_per_sequence + position / kPage];
    return size_t{page} * kPage + position % kPage;
  }
  void write_pages(const SeenStep& step) {
    for (size_t row = 0; row < step.token.size(); ++row) {
      const size_t at = slot(step, step.sequence[row], step.position[row]);
      if (cache.users(static_cast<uint32_t>(at / kPage)) != 1)
        fault = "a shared page is written to";
      memory_[at] = step.token[row];
    }
  }
  void read_pages(const SeenStep& step, uint32_t row, std::span<float> logits) {
    History history;
    for (uint32_t position = 0; position <= step.position[row]; ++position)
      history.push(memory_[slot(step, step.sequence[row], position)]);
    history.fill(logits);
    if (step.token[row] == poison) logits[5] = std::numeric_limits<float>::quiet_NaN();
  }

  const ScheduleSettings settings_;
  LengthPolicy policy_;
  RopeTables rope_;

 public:
  KvCache cache;

 private:
  Executor executor_;

 public:
  FakeDevice& device;
  std::chrono::steady_clock::duration now{};
  int32_t poison = -1;  // a token whose row is not finite
  uint32_t wakes = 0;
  std::string fault = {};  // a law that was broken
  std::vector<std::unique_ptr<Ticket>> tickets;
  std::vector<Heard> heard;
  std::vector<uint32_t> ended;  // 1: it was the first to end, and so on
  Batch batch;

 private:
  uint32_t ends_ = 0;
  std::vector<int32_t> memory_;  // the token of every slot of every page
};

}  // namespace ropewalk::test

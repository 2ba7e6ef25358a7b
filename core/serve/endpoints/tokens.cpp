#include <fmt/format.h>

#include "core/json/json.h"
#include "core/serve/answer/logprobs_json.h"
#include "core/serve/endpoints/endpoints.h"
#include "core/serve/request/chat_prompt.h"
#include "core/serve/request/fields.h"
#include "core/serve/request/messages.h"
#include "core/serve/request/token_fields.h"
#include "core/serve/run/responses.h"
#include "core/text/prompt.h"

namespace ropewalk::serve {
namespace {

// Nothing is generated, so the name of a special token may mean the token.
std::vector<int32_t> encode(const Tokenizer& tokenizer, const std::string& text, bool add_bos) {
  return add_bos && tokenizer.add_bos() ? raw_prompt_ids(tokenizer, text, SpecialTokens::parse)
                                        : tokenizer.encode_text(text, SpecialTokens::parse);
}

std::vector<int32_t> encode_messages(const ServedModel& model, const Json& list) {
  Told told;
  std::vector<ChatMessage> messages = read_messages(list, model.config.serve.turns, told);
  const bool answered = messages.back().role != abi::Role::assistant;
  return chat_prompt(model, std::move(messages),
                     {.last = answered ? LastMessage::answered : LastMessage::continued})
      .ids;
}

std::vector<int32_t> read_ids(Fields& fields, const ServedModel& model) {
  const auto [name, value] = fields.find({"tokens"});
  if (!value)
    throw ApiError(400, "missing_parameter", "tokens: is missing, expected a list of token ids.",
                   "tokens");
  if (!value->is_array()) refuse_type(name, *value, "a list of token ids");
  std::vector<int32_t> ids;
  for (const Json& id : *value) ids.push_back(read_id(name, id, model.vocab));
  return ids;
}

// The class of transformers that reads the model's tokenizer file.
std::string_view class_of(const Tokenizer& tokenizer) {
  return tokenizer.file().ends_with(".json") ? "PreTrainedTokenizerFast" : "LlamaTokenizer";
}

}  // namespace

http::Response tokenize(Service& service, const http::Request& request) {
  const ServedModel& model = service.loaded().model;
  const Tokenizer& tokenizer = model.text.tokenizer();
  const Json body = parse_body(request);
  Fields fields(body, "");
  const bool add_bos = fields.boolean({"add_special_tokens"}).value_or(true);
  const bool strings = fields.boolean({"return_token_strs"}).value_or(false);
  const auto [name, messages] = fields.find({"messages"});
  const auto [text_name, text] = fields.find({"prompt", "content"});
  if (!messages && !text)
    throw ApiError(400, "missing_parameter", "prompt: is missing, expected a text or messages.",
                   "prompt");
  if (!messages && !text->is_string()) refuse_type(text_name, *text, "a text");
  const std::vector<int32_t> ids =
      messages ? encode_messages(model, *messages)
               : encode(tokenizer, text->get_ref<const std::string&>(), add_bos);
  Json names = nullptr;
  if (strings) {
    names = Json::array();
    for (const int32_t id : ids) names.push_back(token_name(tokenizer, id, TokenNames::texts));
  }
  return json_response({{"count", ids.size()},
                        {"max_model_len", model.context_length},
                        {"tokens", ids},
                        {"token_strs", std::move(names)}});
}

http::Response detokenize(Service& service, const http::Request& request) {
  const ServedModel& model = service.loaded().model;
  const Json body = parse_body(request);
  Fields fields(body, "");
  const std::string text = model.text.tokenizer().decode(read_ids(fields, model));
  return json_response({{"prompt", text}, {"content", text}});
}

http::Response tokenizer_info(Service& service, const http::Request&) {
  const Tokenizer& tokenizer = service.loaded().model.text.tokenizer();
  const auto name_of = [](const AddedToken* token) { return token ? Json(token->name) : Json(); };
  return json_response({{"tokenizer_class", class_of(tokenizer)},
                        {"bos_token", name_of(tokenizer.bos())},
                        {"eos_token", name_of(tokenizer.eos())},
                        {"unk_token", name_of(tokenizer.added().find("<unk>"))},
                        {"pad_token", nullptr},
                        {"add_bos_token", tokenizer.add_bos()},
                        {"chat_template", nullptr}});
}

http::Response tabby_encode(Service& service, const http::Request& request) {
  const ServedModel& model = service.loaded().model;
  const Json body = parse_body(request);
  Fields fields(body, "");
  const bool add_bos = fields.boolean({"add_bos_token"}).value_or(true);
  const auto [name, text] = fields.find({"text"});
  if (!text)
    throw ApiError(400, "missing_parameter", "text: is missing, expected a text or messages.",
                   "text");
  const std::vector<int32_t> ids =
      text->is_string()
          ? encode(model.text.tokenizer(), text->get_ref<const std::string&>(), add_bos)
          : encode_messages(model, *text);
  return json_response({{"tokens", ids}, {"length", ids.size()}});
}

http::Response tabby_decode(Service& service, const http::Request& request) {
  const ServedModel& model = service.loaded().model;
  const Json body = parse_body(request);
  Fields fields(body, "");
  return json_response({{"text", model.text.tokenizer().decode(read_ids(fields, model))}});
}

}  // namespace ropewalk::serve

#include "core/engine/known_formats.h"

namespace ropewalk {
namespace {

constexpr KnownOption kTemplateWording[] = {{"wording", "chat-template"}};
constexpr KnownOption kChatmlBos[] = {{"wording", "chat-template"}, {"bos", "true"}};
constexpr KnownOption kQwen15[] = {{"wording", "chat-template"},
                                   {"default_system", "You are a helpful assistant"}};
constexpr KnownOption kQwen2[] = {{"wording", "chat-template"},
                                  {"default_system", "You are a helpful assistant."}};
constexpr KnownOption kUnsloth31[] = {{"date", "26 July 2024"}, {"trim", "false"}};
constexpr KnownOption kMistralV01[] = {{"spaces", "v0.1"}};
constexpr KnownOption kMistralV02[] = {{"spaces", "v0.2"}};
constexpr KnownOption kMistralV1[] = {{"spaces", "v1"}};
constexpr KnownOption kMistralTekken[] = {{"spaces", "tekken"}};
constexpr KnownOption kMistralV7[] = {{"spaces", "v7"}};
// The templates write the day's date; a run must not change with the day.
constexpr KnownOption kMistralSmall3[] = {
    {"spaces", "v7-tekken"},
    {"default_system",
     "You are Mistral Small 3, a Large Language Model (LLM) created by Mistral AI, a French "
     "startup "
     "headquartered in Paris.\nYour knowledge base was last updated on 2023-10-01. The current "
     "date "
     "is 2024-07-26.\n\nWhen you're not sure about some information, you say that you don't have "
     "the information and don't make up anything.\nIf the user's question is not clear, ambiguous, "
     "or does not provide enough context for you to accurately answer the question, you do not try "
     "to answer it right away and you rather ask the user to clarify their request (e.g. \"What "
     "are "
     "some good restaurants around me?\" => \"Where are you?\" or \"When is the next flight to "
     "Tokyo\" => \"Where do you travel from?\")"}};
constexpr KnownOption kReplyUnopened[] = {{"thinking", "false"}};
constexpr KnownOption kGranite31[] = {
    {"default_system",
     "Knowledge Cutoff Date: April 2024.\nToday's Date: July 26, 2024.\n"
     "You are Granite, developed by IBM. You are a helpful AI assistant."}};
constexpr KnownOption kGranite33[] = {
    {"default_system",
     "Knowledge Cutoff Date: April 2024. Today's Date: July 26, 2024. "
     "You are Granite, developed by IBM. You are a helpful AI assistant."}};

// tests/fixtures/prompts/chat-*.json prove each row and name the models.
constexpr KnownFormat kKnown[] = {
    {"b48c47f644389271", "llama-3"},
    {"ba03a121d097859c", "llama-3"},
    {"9bdc1b40251e8d8c", "llama-3"},
    {"47d5a7b4840c2ff2", "llama-3"},
    {"68da1281c0c8bd7d", "llama-3"},
    {"99195f2f7dc13446", "llama-3"},
    {"93c0e9aa3629bbd7", "llama-3.1"},
    {"d82792f95932f1c9", "llama-3.1"},
    {"fa5ce24a44ebf27d", "llama-3.1", kUnsloth31},
    {"e8d5b5a546d3f19d", "llama-2-chat", kTemplateWording},
    {"be7f8f15473ed3f9", "llama-2-chat", kTemplateWording},
    {"ea2472f29dbd93c3", "llama-2-chat", kTemplateWording},
    {"b75e74ef3a70de68", "llama-2-chat", kTemplateWording},
    {"fcf7a096fe99a48f", "chatml", kTemplateWording},
    {"153280e3ff55d19d", "chatml", kTemplateWording},
    {"58c1a1f04baa7ada", "chatml", kTemplateWording},
    {"31e10ce181f9efb8", "chatml", kTemplateWording},
    {"151dcbed9fbd8f6f", "chatml", kTemplateWording},
    {"e6f6e5c192657d16", "chatml", kTemplateWording},
    {"3e3e4ccd01b95ae1", "chatml", kTemplateWording},
    {"64f85b198065d0fb", "chatml", kTemplateWording},
    {"a805e50fed68938a", "chatml", kChatmlBos},
    {"f42d04ffb2e487fa", "chatml", kChatmlBos},
    {"3ce2fe9753f9a77a", "chatml", kChatmlBos},
    {"af9c0233881b083b", "chatml", kQwen15},
    {"7a2fad4301dcce93", "chatml", kQwen15},
    {"793202280c0910ab", "chatml", kQwen2},
    {"f02c534193010c4b", "chatml", kQwen2},
    {"7e995b379ec01747", "mistral", kMistralV01},
    {"26a59556925c9873", "mistral", kMistralV02},
    {"bbc58aad99454df6", "mistral", kMistralV1},
    {"5872a862e5053d8e", "mistral", kMistralV1},
    {"cafb64e0e9e5fd25", "mistral"},
    {"76824445ead161c5", "mistral"},
    {"e7deee034838db2b", "mistral", kMistralTekken},
    {"c7a94f5053986129", "mistral", kMistralTekken},
    {"1143a43fde9f42bf", "mistral", kMistralTekken},
    {"3c4ad5fa60dd8c7c", "mistral", kMistralV7},
    {"3934d199bfe5b6fa", "mistral", kMistralSmall3},
    {"cc5d5411ea7908b8", "mistral", kMistralSmall3},
    {"55b2f4a26ac9ee71", "qwen-2.5"},
    {"7f2beaaa3f71dbdd", "qwen-2.5"},
    {"87a2728cb8dc9fe4", "qwen-3"},
    {"a55ee1b1660128b7", "qwen-3"},
    {"808ef9be6ae1bba0", "qwen-3"},
    {"db733d157125e57a", "qwen-3"},
    {"cb2d7aa140bed098", "qwq"},
    {"0800c03b537cb0d6", "qwq"},
    {"872be49dbb638044", "smollm2"},
    {"4e618188ce6320b8", "smollm3"},
    {"e6143bdf3129c6b2", "smollm3"},
    {"91aa728ae59c8e30", "yi-1.5"},
    {"ecd6ae513fe103f0", "gemma"},
    {"6d57c02ed240611c", "gemma"},
    {"f736fb62056f7b06", "gemma"},
    {"8d9e3a3c114fb205", "gemma"},
    {"85f071443875be55", "gemma"},
    {"0ca3480a7b5d7df1", "gemma"},
    {"78d976a442bcde2f", "phi-3"},
    {"dcaee66df77bfbb7", "phi-3"},
    {"6fc812cb52be39ba", "phi-3"},
    {"b9b84dd705f2bad1", "phi-3"},
    {"605841622bcb6572", "phi-3"},
    {"a41fb8727c4f1e72", "phi-4"},
    {"fe4120415a3858b8", "phi-4"},
    {"febf589225c9728a", "phi-4-mini"},
    {"66291cf0045c2425", "zephyr"},
    {"7450398129b39b2e", "zephyr"},
    {"5e2833b50f34f458", "zephyr"},
    {"fe689ffbd6a4e2d0", "tulu"},
    {"901b10d47195fadb", "openchat"},
    {"2e2a1fc91d942edd", "openchat-3.6"},
    {"914ccd80356f5822", "falcon-3"},
    {"b8e5e922a7a4ab5d", "solar"},
    {"8aeba567270fa9a8", "deepseek-llm"},
    {"5b0c475e85b39541", "deepseek-llm"},
    {"993c0af704bad76a", "deepseek-coder"},
    {"a46d98a467d44ccb", "deepseek-coder"},
    {"56a1447ad31926fd", "deepseek-r1"},
    {"b6835114b7303ddd", "deepseek-r1", kReplyUnopened},
    {"09d68eeb5c0eaa55", "granite-3"},
    {"c3f6985e1a46837c", "granite-3", kGranite31},
    {"40cae2ac6f68a5b1", "granite-3", kGranite31},
    {"aa5f93f3de7d6995", "granite-3", kGranite31},
    {"d0657ba05651bd21", "granite-3", kGranite33},
};

}  // namespace

std::span<const KnownFormat> known_formats() { return kKnown; }

}  // namespace ropewalk

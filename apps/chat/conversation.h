// conversation.h — the messages of a chat, and the replies to them.
//
// Each turn renders the whole conversation again, but only new tokens are computed: the others are
// cached. A method that fails leaves the conversation as it was.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "core/engine/engine.h"
#include "core/generate/generate.h"
#include "core/text/fit.h"
#include "core/text/prompt.h"

namespace ropewalk {

class StopRequest;

class Conversation {
 public:
  // Both must outlive it.
  Conversation(Engine& engine, const CommonArguments& common);

  // Prints the reply to `text` as it is generated. Returns the signal that ends the conversation;
  // 0: it goes on. Ctrl-C ends a reply, whose text so far stays. A message that is too long is
  // dropped with a warning. Throws Error for everything else.
  int say(const std::string& text);
  // Another reply to the last message, with other random numbers. Warns where there is none.
  int retry();

  void undo();   // drops the last message and its reply; warns where there is none
  void reset();  // forgets everything but the system message

  // The system message in force; empty: none.
  std::string system() const;
  void set_system(std::string text);

  // The adapter that replies from now on; empty: says which does. Throws Error(usage) for a name
  // that the configuration does not have.
  void set_adapter(const std::string& name);

  // "key=value" of sampling or generation. Throws Error(usage) for other keys and wrong values.
  void set(const std::string& override);

  // Throw Error: output, and usage for what is no saved conversation; save() leaves that alone.
  void save(const std::string& file);
  void load(const std::string& file);
  // Saves what would be lost; does nothing where nothing would.
  void offer(const std::string& file);

 private:
  std::vector<ChatMessage> all_messages() const;
  FittedPrompt fit() const;
  Reply reply(const StopRequest& stop);
  int answer();
  void tell_of(const Reply& answer);

  Engine& engine_;
  const CommonArguments& common_;
  CachedText text_;
  Config config_;                       // the engine's, with the sampling and generation of set()
  std::vector<std::string> overrides_;  // the command line's and those of set()
  std::optional<std::string> system_;   // of set_system() or a loaded file
  std::vector<ChatMessage> messages_;   // user and assistant alternate
  uint64_t retries_ = 0;                // of the last message
  bool told_of_dropping_ = false;
  bool saved_ = true;  // nothing was said since it was saved or loaded
};

}  // namespace ropewalk

#include "apps/serve/serving.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace ropewalk {
namespace {

serve::Keys read_keys(const Config& config) {
  const char* listed = std::getenv("ROPEWALK_API_KEYS");
  return {config.serve.keys_file, listed ? listed : ""};
}

// A line is one write, so that lines of several threads do not mix.
void write_line(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  (void)!write(STDERR_FILENO, text.data(), text.size());
}

serve::ServiceSettings service_settings(const ServeArguments& arguments, const Config& config) {
  serve::ServiceSettings settings{
      .config = config, .keys = read_keys(config), .version = ROPEWALK_VERSION, .log = {}};
  serve::check_exposure(config.serve, settings.keys);
  if (!arguments.common.quiet) settings.log = write_line;
  return settings;
}

}  // namespace

Serving::Serving(const ServeArguments& arguments, Config config)
    : arguments_(arguments),
      config_(std::move(config)),
      service_(service_settings(arguments, config_)),
      http_(std::make_unique<http::Server>(
          http::Settings{.listen = {config_.serve.listen}, .limits = {}}, service_.routes(),
          service_.hooks())) {
  service_.watch(*http_);
  if (!config_.serve.keys_file.empty()) reload_.emplace();
}

void Serving::reload_if_asked() {
  if (reload_ && reload_->take()) service_.reload_keys();
}

Serving::~Serving() { http_->stop(); }

void Serving::load() {
  model_ = std::make_unique<HostedModel>(arguments_.common, config_);
  model_->serve_with(service_);
}

http::Ended Serving::drain(uint32_t seconds) {
  http_->drain(std::chrono::seconds(seconds));
  return http_->wait();
}

}  // namespace ropewalk

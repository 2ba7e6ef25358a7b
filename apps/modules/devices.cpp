// devices.cpp — `ropewalk devices`: every backend and device, and why one cannot be used.
#include "core/engine/devices.h"

#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/open.h"
#include "apps/output.h"
#include "core/base/bytes.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

Json kv_types(uint32_t bits) {
  Json names = Json::array();
  const auto add = [&](abi::DType type, const char* name) {
    if (bits >> static_cast<uint32_t>(type) & 1) names.push_back(name);
  };
  add(abi::DType::f16, "f16");
  add(abi::DType::i8, "int8");
  add(abi::DType::f32, "f32");
  return names;
}

Json device_json(const DeviceListing& listing) {
  Json json = {{"backend", listing.backend},
               {"index", listing.index},
               {"usable", listing.usable},
               {"reason", listing.reason}};
  const abi::DeviceInfo& info = listing.info;
  if (info.name[0] == '\0') return json;  // nothing is known of it
  json["name"] = info.name;
  json["type"] = device_type_name(info.type);
  json["driver"] = info.driver;
  json["missing"] = info.missing;
  json["memory_total"] = info.memory_total;
  json["memory_free"] = info.memory_free;
  json["activation"] = info.activation == abi::DType::f16 ? "f16" : "f32";
  json["kv_cache"] = kv_types(info.kv_types);
  json["lanes"] = info.lanes;
  return json;
}

std::string line(const DeviceListing& listing) {
  const abi::DeviceInfo& info = listing.info;
  std::string out = fmt::format("{} {}: ", listing.backend, listing.index);
  if (info.name[0] != '\0') {
    out += fmt::format("{}, {}, {}, {} free of {}", printable(info.name),
                       device_type_name(info.type), printable(info.driver),
                       format_bytes(info.memory_free), format_bytes(info.memory_total));
    if (info.lanes > 0)
      out += fmt::format(", {} {}", info.lanes,
                         info.type == abi::DeviceType::cpu ? "threads" : "lanes a subgroup");
    if (info.missing[0] != '\0') out += fmt::format(", lacks {}", printable(info.missing, 256));
  }
  if (!listing.usable)
    out +=
        fmt::format("{}not usable: {}", info.name[0] ? ", " : "", printable(listing.reason, 400));
  return out + "\n";
}

}  // namespace

int devices(const DevicesArguments& arguments) {
  const Config config = config_without_file(arguments.common, ".");
  Registry registry = make_registry(config);
  const std::vector<DeviceListing> listings = list_devices(registry, config.backend);
  Json list = Json::array();
  std::string text;
  for (const DeviceListing& listing : listings) {
    list.push_back(device_json(listing));
    text += line(listing);
  }
  arguments.common.json ? print_json({{"devices", list}}) : print(text);
  return 0;
}

}  // namespace ropewalk

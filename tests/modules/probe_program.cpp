// Plays the program that is started to probe a file: PROGRAM plugins --probe FILE.
#include <unistd.h>

#include "core/modules/probe.h"

int main(int argc, char** argv) { _exit(argc == 4 ? ropewalk::probe_child(argv[3]) : 2); }

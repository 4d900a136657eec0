/* command_score.h: what the files of `cityhub score` share. */
#ifndef CITYHUB_COMMAND_SCORE_H
#define CITYHUB_COMMAND_SCORE_H

#include "hub/cli/command.h"

#define SCORE_MONTH OPTION_MONTH(.name = "month", .required = true, .member = "month", .help = "the month")

/* `cityhub score formula`. */
extern const struct command command_score_formula;

#endif

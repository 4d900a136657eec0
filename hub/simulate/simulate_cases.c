/* simulate_cases.c: plays a month of cases, all of them side by side in the order of time, by the functions that
 * people's programs call too: onemap.case_report(), onemap.case_do(), onemap.assessment_enter(). Must never write a
 * table. */
#include "hub/simulate/simulate_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/clock.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/cli/ask.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"
#include "hub/simulate/simulate_case.h"
#include "hub/simulate/simulate_prepare.h"

struct play {
    PGconn *connection;
    struct case_county county;
    struct simulated_case *cases;
    struct simulated_case **queue; /* a heap: the case whose action is due first stands first */
    int case_count, queued, ended;
    long events;
    time_t told;
};

/* ---- the queue ---- */

static bool is_before(const struct simulated_case *a, const struct simulated_case *b) {
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->number < b->number);
}

static void queue_swap(struct play *play, int a, int b) {
    struct simulated_case *kept = play->queue[a];
    play->queue[a] = play->queue[b];
    play->queue[b] = kept;
}

static void queue_sink(struct play *play) {
    int place = 0;
    for (int child = 1; child < play->queued; child = 2 * place + 1) {
        if (child + 1 < play->queued && is_before(play->queue[child + 1], play->queue[child])) {
            child++;
        }
        if (!is_before(play->queue[child], play->queue[place])) {
            return;
        }
        queue_swap(play, child, place);
        place = child;
    }
}

static void queue_add(struct play *play, struct simulated_case *one) {
    int place = play->queued++;
    play->queue[place] = one;
    while (place > 0 && is_before(play->queue[place], play->queue[(place - 1) / 2])) {
        queue_swap(play, place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

static struct simulated_case *queue_first(const struct play *play) {
    return play->queued > 0 ? play->queue[0] : NULL;
}

/* ---- the database ---- */

/* What the function answers to the request, which is deleted; NULL after telling why, and what was asked. */
static cJSON *ask(PGconn *connection, const char *function, cJSON *request) {
    cJSON *answer = ask_json(connection, function, request);
    if (answer == NULL) {
        char *text = cJSON_PrintUnformatted(request);
        command_fail("refused was: %s", text == NULL ? "" : text);
        free(text);
    }
    cJSON_Delete(request);
    return answer;
}

/* ---- the month ---- */

static void tell(struct play *play, int64_t at_ms) {
    time_t now = time(NULL);
    if (now == play->told) {
        return;
    }
    play->told = now;
    time_t local = (time_t)((at_ms + play->county.offset_ms) / 1000);
    struct tm parts;
    char day[16];
    gmtime_r(&local, &parts);
    strftime(day, sizeof day, "%Y-%m-%d", &parts);
    printf("playing cases: %s, %ld actions, %d of %d cases at their end\n", day, play->events, play->ended,
           play->case_count);
    fflush(stdout);
}

static bool is_open(const struct play *play, const struct simulated_case *one) {
    const cJSON *state;
    cJSON_ArrayForEach(state, member_get(play->county.facts, "final_states")) {
        if (strcmp(one->state, state->valuestring) == 0) {
            return false;
        }
    }
    return one->state[0] != '\0';
}

/* A case of which this one could be a second report. Without one it is no duplicate, and accepted. */
static struct simulated_case *find_kept(struct play *play, struct simulated_case *one) {
    for (int i = 0; i < play->case_count; i++) {
        struct simulated_case *other = &play->cases[i];
        if (other != one && other->target == one->target && is_open(play, other) && other->alarm == NULL) {
            return other;
        }
    }
    return NULL;
}

static int step(struct play *play, struct simulated_case *one) {
    struct simulated_case *kept = NULL;
    if (strcmp(one->action, "merge") == 0) {
        kept = find_kept(play, one);
        one->into = kept;
        one->action = kept == NULL ? "accept" : "merge";
    }
    bool report = strcmp(one->action, "report") == 0;
    cJSON *answer =
        ask(play->connection, report ? "onemap.case_report" : "onemap.case_do", case_life_request(one, &play->county));
    if (answer == NULL) {
        return CH_EDATABASE;
    }
    play->events++;
    if (kept != NULL) {
        kept->version++; /* it has noted the duplicate */
    }
    case_life_answer(one, &play->county, answer);
    cJSON_Delete(answer);
    return 0;
}

static int play_cases(struct play *play) {
    for (int i = 0; i < play->case_count; i++) {
        case_life_begin(&play->cases[i], &play->county, i);
        queue_add(play, &play->cases[i]);
    }
    for (struct simulated_case *one; (one = queue_first(play)) != NULL;) {
        tell(play, one->at_ms);
        if (step(play, one) != 0) {
            return CH_EDATABASE;
        }
        if (one->action == NULL) {
            play->ended++;
            play->queue[0] = play->queue[--play->queued];
        }
        queue_sink(play);
    }
    return 0;
}

/* ---- the assessment ---- */

/* Hands each of the entries to a function. Returns how many, negative if one was refused. */
static int enter_each(PGconn *connection, const char *function, const cJSON *entries) {
    int count = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, entries) {
        cJSON *answer = ask(connection, function, cJSON_Duplicate(entry, true));
        if (answer == NULL) {
            return CH_EDATABASE;
        }
        cJSON_Delete(answer);
        count++;
    }
    return count;
}

static int enter_scores(struct play *play) {
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "month", member_text(play->county.facts, "month"));
    cJSON *computed = ask(play->connection, "onemap.assessment_compute", request);
    if (computed == NULL) {
        return CH_EDATABASE;
    }
    cJSON *scores = case_scores(&play->county, member_get(computed, "rows"));
    int entries = enter_each(play->connection, "onemap.assessment_enter", member_get(scores, "entries"));
    int awards = entries < 0
                     ? entries
                     : enter_each(play->connection, "onemap.assessment_award_enter", member_get(scores, "awards"));
    if (awards >= 0) {
        printf("entered %d scores of campaigns and offices, %d bonuses and deductions\n", entries, awards);
    }
    cJSON_Delete(scores);
    cJSON_Delete(computed);
    return awards < 0 ? awards : 0;
}

static int print_departments(const struct play *play) {
    static const struct print_column columns[] = {
        {"department", false}, {"name", false}, {"diligence %", true}, {"cases", true}};
    enum { COLUMNS = COUNT_OF(columns), WIDE = 16 };
    size_t count = (size_t)play->county.department_count;
    const char **cells = calloc(count * COLUMNS + 1, sizeof *cells);
    char(*figures)[WIDE] = calloc(2 * count + 1, sizeof *figures);
    if (cells == NULL || figures == NULL) {
        free(cells);
        free(figures);
        return CH_EMEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const struct case_department *department = &play->county.departments[i];
        snprintf(figures[2 * i], WIDE, "%.0f", 100 * department->diligence);
        snprintf(figures[2 * i + 1], WIDE, "%d", department->cases);
        const char *const row[COLUMNS] = {department->code, department->name, figures[2 * i], figures[2 * i + 1]};
        memcpy(&cells[i * COLUMNS], row, sizeof row);
    }
    print_cells(stdout, columns, COLUMNS, cells, count);
    free(cells);
    free(figures);
    return 0;
}

static int play_month(struct play *play, const struct simulate_cases_options *options) {
    cJSON *request = cJSON_CreateObject();
    if (options->month != NULL) {
        cJSON_AddStringToObject(request, "month", options->month);
    }
    cJSON_AddNumberToObject(request, "seed", (double)options->seed);
    cJSON_AddNumberToObject(request, "count", options->count);
    char *text = cJSON_PrintUnformatted(request);
    char *answer = text == NULL ? NULL
                                : database_text(play->connection, "SELECT simulation.month($1::jsonb)", 1,
                                                (const char *const[]){text});
    cJSON_Delete(request);
    free(text);
    cJSON *facts = answer == NULL ? NULL : cJSON_Parse(answer);
    free(answer);
    if (facts == NULL) {
        return CH_EDATABASE;
    }
    int code = case_county_load(&play->county, facts, (uint64_t)options->seed);
    play->case_count = options->count;
    play->cases = calloc((size_t)options->count, sizeof *play->cases);
    play->queue = calloc((size_t)options->count, sizeof(struct simulated_case *));
    if (code != 0 || play->cases == NULL || play->queue == NULL) {
        command_fail(code == CH_EINVAL ? "no case can be made of this county's catalogue" : "out of memory");
        return code == CH_EINVAL ? code : CH_EMEMORY;
    }
    code = play_cases(play);
    return code == 0 ? enter_scores(play) : code;
}

int simulate_cases(const struct config *config, const struct simulate_cases_options *options) {
    const char *conninfo =
        config->database_migrate_conninfo[0] != '\0' ? config->database_migrate_conninfo : config->database_conninfo;
    struct play play = {.connection = database_open(conninfo, config->database_connect_timeout_s,
                                                    config->database_statement_timeout_s, "cityhub simulate")};
    if (play.connection == NULL) {
        return CH_EDATABASE;
    }
    int64_t start_ms = clock_steady_ms();
    int code = simulate_require(play.connection);
    code = code == 0 ? database_run(play.connection, "BEGIN", 0, NULL) : code;
    code = code == 0 ? play_month(&play, options) : code;
    code = code == 0 ? database_run(play.connection, "COMMIT", 0, NULL) : code;
    int64_t end_ms = clock_steady_ms();
    if (code == 0) {
        code = print_departments(&play);
        printf("month %s is played: %d cases, %ld actions in %.1f s\n", member_text(play.county.facts, "month"),
               play.case_count, play.events, (double)(end_ms - start_ms) / 1000);
    }
    free(play.cases);
    free(play.queue);
    case_county_free(&play.county);
    PQfinish(play.connection);
    return code;
}

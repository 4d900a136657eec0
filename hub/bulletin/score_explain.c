/* score_explain.c: prints why a score is what it is, as a tree down to the case numbers. Shows what the database
 * answered, and computes nothing. */
#include "hub/bulletin/score_explain.h"

#include <stdbool.h>
#include <string.h>

#include "hub/bulletin/score_report.h"
#include "hub/cli/print_table.h"

enum { CASES_A_LINE = 6 };

static void figure_print(FILE *out, const cJSON *object, const char *key) {
    if (member_is_number(object, key)) {
        fprintf(out, "%.10g", member_number(object, key, 0));
    } else {
        fputs("missing", out);
    }
}

/* "= 66 / 100 = 66 %" or the counts, one after the other. */
static void figures_print(FILE *out, const cJSON *item) {
    const cJSON *count;
    if (member_is_number(item, "denominator")) {
        fprintf(out, "   %.10g / %.10g", member_number(item, "numerator", 0), member_number(item, "denominator", 0));
    }
    if (member_is_number(item, "rate")) {
        fprintf(out, " = %.10g %%", member_number(item, "rate", 0));
    }
    cJSON_ArrayForEach(count, member_get(item, "counts")) {
        if (member_number(count, "times", 0) > 0) {
            const cJSON *measure = cJSON_GetArrayItem(member_get(count, "measures"), 0);
            fprintf(out, "   %s: %.10g x %.10g", cJSON_GetStringValue(measure), member_number(count, "times", 0),
                    member_number(count, "points", 0));
        }
    }
    if (member_text(item, "note")[0] != '\0') {
        fputs("   ", out);
        print_text(out, member_text(item, "note"));
    }
    if (member_text(item, "author")[0] != '\0') {
        fputs("   by ", out);
        print_text(out, member_text(item, "author"));
        fputs(": ", out);
        print_text(out, member_text(item, "evidence"));
    }
    fputc('\n', out);
}

static void cases_print(FILE *out, const cJSON *item) {
    const cJSON *cases = member_get(item, "costing");
    const cJSON *one;
    int column = 0;
    if (cJSON_GetArraySize(cases) == 0) {
        return;
    }
    fprintf(out, "      %d %s:", cJSON_GetArraySize(cases),
            strcmp(member_text(item, "kind"), "bonus") == 0 ? "brought points" : "cost points");
    cJSON_ArrayForEach(one, cases) {
        if (column++ % CASES_A_LINE == 0) {
            fputs("\n         ", out);
        }
        print_text(out, member_text(one, "case"));
        if (member_is_number(one, "points")) {
            fprintf(out, " (%.10g)", member_number(one, "points", 0));
        }
        fputs("  ", out);
    }
    fputc('\n', out);
}

void score_explain_print(FILE *out, const cJSON *answer) {
    const cJSON *formula = member_get(answer, "formula");
    const cJSON *item;
    const cJSON *adjustment;
    print_text(out, member_text(answer, "name"));
    fprintf(out, "  %s  ", member_text(answer, "month"));
    figure_print(out, answer, "score");
    fprintf(out, " of %.10g%s\n", member_number(formula, "full", 0), member_true(answer, "closed") ? ", final" : "");
    fputs("by ", out);
    print_text(out, member_text(formula, "name"));
    fprintf(out, ", version %.0f\n", member_number(formula, "version", 0));
    cJSON_ArrayForEach(item, member_get(answer, "items")) {
        fputs("   ", out);
        print_text(out, member_text(item, "name"));
        fputs("  ", out);
        figure_print(out, item, "points");
        if (member_number(item, "weight", 0) > 0) {
            fprintf(out, " of %.10g", member_number(item, "weight", 0));
        }
        figures_print(out, item);
        cases_print(out, item);
    }
    cJSON_ArrayForEach(adjustment, member_get(answer, "adjustments")) {
        fprintf(out, "   correction of %s  %+.10g   by ", member_text(adjustment, "month"),
                member_number(adjustment, "points", 0));
        print_text(out, member_text(adjustment, "author"));
        fputs(": ", out);
        print_text(out, member_text(adjustment, "reason"));
        fputc('\n', out);
    }
}

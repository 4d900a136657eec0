/* test_postgres_error.c: what an SQLSTATE means, class by class of PostgreSQL's appendix A. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/count.h"
#include "hub/link/postgres_error.h"

static void test_classes(void **state) {
    (void)state;
    static const struct {
        const char *sqlstate;
        bool transient, misfit;
    } cases[] = {
        {"", true, false},       {"08000", true, false},  {"08P01", true, false},  {"25006", true, false},
        {"3F000", true, true},   {"40001", true, false},  {"40P01", true, false},  {"42501", true, true},
        {"42P01", true, true},   {"53100", true, false},  {"55P03", true, false},  {"57014", true, false},
        {"57P01", true, false},  {"58030", true, false},  {"F0001", true, false},  {"XX002", true, false},
        {"01000", false, false}, {"0A000", false, false}, {"21000", false, false}, {"22003", false, false},
        {"22P02", false, false}, {"23502", false, false}, {"23505", false, false}, {"23514", false, false},
        {"24000", false, false}, {"2BP01", false, false}, {"3D000", false, false}, {"44000", false, false},
        {"54000", false, false}, {"CH001", false, false}, {"CH002", false, false}, {"P0001", false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct postgres_error error = {.message = ""};
        memcpy(error.sqlstate, cases[i].sqlstate, strlen(cases[i].sqlstate));
        if (postgres_error_transient(&error) != cases[i].transient ||
            postgres_error_misfit(&error) != cases[i].misfit) {
            fail_msg("%s is taken for something else", cases[i].sqlstate);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

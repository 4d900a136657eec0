/* test_migrate_plan.c: what a database has applied against what a build brings. The database is played: this file has
 * the two functions of database.c that the plan calls. */
#include "captured.h"

#include "hub/base/error.h"
#include "hub/cli/database.h"
#include "hub/migrate/migrate_plan.h"

/* ---- the played database */

struct applied {
    const char *version, *name, *checksum;
};

static const struct applied *played;
static int played_count; /* -1: the table is not there; -2: the database is away */

static bool says(const char *sql, const char *words) {
    return strstr(sql, words) != NULL;
}

char *database_text(PGconn *connection, const char *sql, int count, const char *const *parameters) {
    (void)connection;
    (void)parameters;
    assert_int_equal(count, 0);
    assert_true(says(sql, "to_regclass('cityhub_meta.migration')"));
    return played_count == -2 ? NULL : strdup(played_count == -1 ? "f" : "t");
}

PGresult *database_query(PGconn *connection, const char *sql, int count, const char *const *parameters) {
    (void)connection;
    (void)parameters;
    assert_int_equal(count, 0);
    assert_true(played_count >= 0 ? says(sql, "FROM cityhub_meta.migration ORDER BY version")
                                  : !says(sql, "cityhub_meta"));
    char names[6][12] = {"version", "name", "checksum", "applied_at", "duration", "build"};
    PGresAttDesc columns[6] = {0};
    for (int i = 0; i < 6; i++) {
        columns[i].name = names[i];
    }
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_true(PQsetResultAttrs(result, 6, columns));
    for (int row = 0; row < played_count; row++) {
        const char *values[6] = {played[row].version,   played[row].name, played[row].checksum,
                                 "2026-01-02 03:04:05", "0.125",          "0.1.0"};
        for (int i = 0; i < 6; i++) {
            char value[100];
            snprintf(value, sizeof value, "%s", values[i]);
            assert_true(PQsetvalue(result, row, i, value, (int)strlen(value)));
        }
    }
    return result;
}

/* ---- */

static struct migration_predecessor of_b[] = {{(char[]){"schema/102_x.sql"}, "1111111111111111"},
                                              {(char[]){"schema/103_y.sql"}, "2222222222222222"}};
static struct migration_predecessor of_e[] = {{(char[]){"schema/104_z.sql"}, "3333333333333333"}};
static struct migration_file build_list[] = {
    {.version = 1, .name = (char[]){"schema/tables/001_a.sql"}, .checksum = "aaaaaaaaaaaaaaaaaaaa"},
    {.version = 2,
     .name = (char[]){"schema/tables/002_b.sql"},
     .checksum = "bbbbbbbbbbbbbbbbbbbb",
     .supersedes = of_b,
     .supersedes_count = 2},
    {.version = 5,
     .name = (char[]){"schema/tables/005_e.sql"},
     .checksum = "eeeeeeeeeeeeeeeeeeee",
     .supersedes = of_e,
     .supersedes_count = 1},
};
static const struct migration_files build = {build_list, 3};
static char explained[4000], printed[4000];

static struct migrate_plan make(const struct applied *applied, int count) {
    struct migrate_plan plan;
    played = applied;
    played_count = count;
    assert_int_equal(migrate_plan_make(&plan, NULL, &build), 0);
    explained[0] = '\0';
    FILE *out = fmemopen(explained, sizeof explained, "w");
    migrate_plan_explain(&plan, out);
    fclose(out);
    out = fmemopen(printed, sizeof printed, "w");
    migrate_plan_print(&plan, out);
    fclose(out);
    return plan;
}

static void expect(struct migrate_plan *plan, const enum migrate_state *states, size_t count, size_t pending,
                   size_t refused, int version) {
    assert_int_equal(plan->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(plan->steps[i].state, states[i]);
    }
    assert_int_equal(plan->pending, pending);
    assert_int_equal(plan->refused, refused);
    assert_int_equal(plan->database_version, version);
    assert_int_equal(strlen(explained) > 0, refused > 0);
    migrate_plan_free(plan);
    assert_null(plan->steps);
}

#define A                                                                                                              \
    { "1", "schema/tables/001_a.sql", "aaaaaaaaaaaaaaaaaaaa" }
#define B                                                                                                              \
    { "2", "schema/tables/002_b.sql", "bbbbbbbbbbbbbbbbbbbb" }
#define E                                                                                                              \
    { "5", "schema/tables/005_e.sql", "eeeeeeeeeeeeeeeeeeee" }

static void test_empty_database(void **state) {
    (void)state;
    static const enum migrate_state states[] = {MIGRATE_PENDING, MIGRATE_PENDING, MIGRATE_PENDING};
    for (int count = -1; count <= 0; count++) {
        struct migrate_plan plan = make(NULL, count);
        assert_ptr_equal(plan.steps[1].file, &build_list[1]);
        assert_int_equal(plan.steps[2].version, 5);
        captured_expect(printed, "pending       schema/tables/002_b.sql");
        captured_expect(printed, "bbbbbbbbbbbb  -");
        expect(&plan, states, 3, 3, 0, 0);
    }
}

static void test_half_way_and_done(void **state) {
    (void)state;
    static const struct applied all[] = {A, B, E};
    static const enum migrate_state half[] = {MIGRATE_APPLIED, MIGRATE_APPLIED, MIGRATE_PENDING};
    static const enum migrate_state done[] = {MIGRATE_APPLIED, MIGRATE_APPLIED, MIGRATE_APPLIED};
    struct migrate_plan plan = make(all, 2);
    expect(&plan, half, 3, 1, 0, 2);
    plan = make(all, 3);
    captured_expect(printed, "applied       schema/tables/005_e.sql");
    captured_expect(printed, "eeeeeeeeeeee  2026-01-02 03:04:05      0.125\n");
    expect(&plan, done, 3, 0, 0, 5);
}

static void test_changed(void **state) {
    (void)state;
    static const struct applied applied[] = {A, {"2", "schema/tables/002_b.sql", "cccccccccccccccccccc"}};
    static const enum migrate_state states[] = {MIGRATE_APPLIED, MIGRATE_CHANGED, MIGRATE_PENDING};
    struct migrate_plan plan = make(applied, 2);
    captured_expect(explained,
                    "schema/tables/002_b.sql was applied on 2026-01-02 03:04:05 UTC by build 0.1.0 and has been "
                    "changed since (SHA-256 then cccccccccccc, now bbbbbbbbbbbb)");
    captured_expect(explained, "new file with the next free number");
    captured_expect(printed, "CHANGED ");
    expect(&plan, states, 3, 1, 1, 2);
}

static void test_missing(void **state) {
    (void)state;
    static const struct applied applied[] = {A, B, {"3", "schema/tables/003_c.sql", "cccccccccccccccccccc"}};
    static const enum migrate_state states[] = {MIGRATE_APPLIED, MIGRATE_APPLIED, MIGRATE_MISSING, MIGRATE_PENDING};
    struct migrate_plan plan = make(applied, 3);
    captured_expect(explained,
                    "schema/tables/003_c.sql was applied on 2026-01-02 03:04:05 UTC by build 0.1.0 and is missing");
    captured_expect(printed, "MISSING       schema/tables/003_c.sql                   cccccccccccc");
    expect(&plan, states, 4, 1, 1, 3);
}

static void test_newer(void **state) {
    (void)state;
    static const struct applied applied[] = {A, B, E, {"6", "schema/tables/006_f.sql", "ffffffffffffffffffff"}};
    static const enum migrate_state states[] = {MIGRATE_APPLIED, MIGRATE_APPLIED, MIGRATE_APPLIED, MIGRATE_NEWER};
    struct migrate_plan plan = make(applied, 4);
    captured_expect(explained, "the database is newer than this build");
    captured_expect(printed, "NEWER ");
    expect(&plan, states, 4, 0, 1, 6);
}

static void test_out_of_order(void **state) {
    (void)state;
    static const struct applied applied[] = {A, E};
    static const enum migrate_state states[] = {MIGRATE_APPLIED, MIGRATE_OUT_OF_ORDER, MIGRATE_APPLIED};
    struct migrate_plan plan = make(applied, 2);
    captured_expect(explained, "schema/tables/002_b.sql was not applied, but later files were: there is a gap.");
    captured_expect(printed, "OUT OF ORDER  schema/tables/002_b.sql");
    expect(&plan, states, 3, 0, 1, 5);
}

/* A database of an earlier build: its files count as the ones that take their place. */
static void test_superseded(void **state) {
    (void)state;
    static const struct applied applied[] = {A,
                                             {"102", "schema/102_x.sql", "1111111111111111"},
                                             {"103", "schema/103_y.sql", "2222222222222222"},
                                             {"104", "schema/104_z.sql", "3333333333333333"}};
    static const enum migrate_state all[] = {MIGRATE_APPLIED, MIGRATE_SUPERSEDED, MIGRATE_SUPERSEDED};
    static const enum migrate_state half[] = {MIGRATE_APPLIED, MIGRATE_SUPERSEDED, MIGRATE_PENDING};
    struct migrate_plan plan = make(applied, 4);
    assert_int_equal(plan.superseded, 2);
    assert_ptr_equal(plan.steps[1].file, &build_list[1]);
    assert_int_equal(plan.steps[1].version, 2);
    captured_expect(printed, "superseded    schema/tables/002_b.sql");
    captured_expect(printed, "bbbbbbbbbbbb  2026-01-02 03:04:05");
    expect(&plan, all, 3, 0, 0, 5);
    plan = make(applied, 3);
    assert_int_equal(plan.superseded, 1);
    expect(&plan, half, 3, 1, 0, 2);
}

static void test_superseded_by_halves(void **state) {
    (void)state;
    static const struct applied one_of_two[] = {A, {"102", "schema/102_x.sql", "1111111111111111"}};
    static const struct applied other_bytes[] = {
        A, {"102", "schema/102_x.sql", "1111111111111111"}, {"103", "schema/103_y.sql", "9999999999999999"}};
    static const enum migrate_state states[] = {MIGRATE_APPLIED, MIGRATE_FOREIGN, MIGRATE_PENDING};
    for (int i = 0; i < 2; i++) {
        struct migrate_plan plan = make(i == 0 ? one_of_two : other_bytes, i == 0 ? 2 : 3);
        captured_expect(explained, "schema/tables/002_b.sql takes the place of 2 files of an earlier build");
        captured_expect(explained, "Bring the database up with that build first");
        captured_expect(printed, "FOREIGN       schema/tables/002_b.sql");
        expect(&plan, states, 3, 1, 1, 2);
    }
}

/* Once recorded under their new names, the old ones are of no interest. */
static void test_superseded_and_recorded(void **state) {
    (void)state;
    static const struct applied applied[] = {A, B, E};
    static const enum migrate_state states[] = {MIGRATE_APPLIED, MIGRATE_APPLIED, MIGRATE_APPLIED};
    struct migrate_plan plan = make(applied, 3);
    assert_int_equal(plan.superseded, 0);
    expect(&plan, states, 3, 0, 0, 5);
}

static void test_database_away(void **state) {
    (void)state;
    struct migrate_plan plan;
    played_count = -2;
    assert_int_equal(migrate_plan_make(&plan, NULL, &build), CH_EDATABASE);
    migrate_plan_free(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_database),
        cmocka_unit_test(test_half_way_and_done),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_newer),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_superseded),
        cmocka_unit_test(test_superseded_by_halves),
        cmocka_unit_test(test_superseded_and_recorded),
        cmocka_unit_test(test_database_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_migration_file.c: a build's SQL files: their names, order, checksums, and what is refused with the reason. */
#include "captured.h"

#include <sys/stat.h>

#include "hub/base/error.h"
#include "hub/migrate/migration_file.h"
#include "hub/migrate/sql_script.h"

static struct captured captured;

/* A data folder of its own. */
struct folder {
    char path[64];
};

static struct folder folder_make(void) {
    struct folder folder;
    char path[100];
    strcpy(folder.path, "/tmp/cityhub-test-data-XXXXXX");
    assert_non_null(mkdtemp(folder.path));
    static const char *const inner[] = {"schema",   "schema/tables", "schema/rules", "schema/simulation",
                                        "adapters", "adapters/dust", "adapters/gas"};
    for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder.path, inner[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    return folder;
}

static void folder_write(const struct folder *folder, const char *name, const void *bytes, size_t length) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder->path, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static void folder_text(const struct folder *folder, const char *name, const char *text) {
    folder_write(folder, name, text, strlen(text));
}

static void folder_remove(const struct folder *folder) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder->path);
    assert_int_equal(system(command), 0);
}

typedef int read_function(struct migration_files *files, const char *data_dir);

/* Reads the files, which are refused with `code`; what is said has `word` in it. */
static void refused(const struct folder *folder, read_function *read, int code, const char *word) {
    struct migration_files files;
    captured_begin(&captured, stderr);
    int got = read(&files, folder->path);
    captured_expect(captured_end(&captured), word);
    assert_int_equal(got, code);
    migration_files_free(&files);
    assert_null(files.list);
}

/* Reads the files, which come in this order. */
static void in_order(const struct folder *folder, read_function *read, const char *const *names, size_t count) {
    struct migration_files files;
    assert_int_equal(read(&files, folder->path), 0);
    assert_int_equal(files.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(files.list[i].name, names[i]);
    }
    migration_files_free(&files);
}

static void test_checksum(void **state) {
    (void)state;
    char checksum[CHECKSUM_TEXT];
    /* The examples of FIPS 180-4 for SHA-256. */
    assert_int_equal(migration_checksum("", 0, checksum), 0);
    assert_string_equal(checksum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(migration_checksum("abc", 3, checksum), 0);
    assert_string_equal(checksum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_numbered(void **state) {
    (void)state;
    struct folder folder = folder_make();
    struct migration_files files;
    folder_text(&folder, "schema/tables/010_later.sql", "SELECT 10;\n");
    folder_text(&folder, "schema/tables/001_first.sql", "abc");
    folder_text(&folder, "schema/tables/999_last_1.sql", "");
    folder_text(&folder, "schema/tables/README.md", "is left alone");
    assert_int_equal(migration_files_numbered(&files, folder.path), 0);
    assert_int_equal(files.count, 3);
    assert_string_equal(files.list[0].name, "schema/tables/001_first.sql");
    assert_int_equal(files.list[0].version, 1);
    assert_string_equal(files.list[0].text, "abc");
    assert_string_equal(files.list[0].checksum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(files.list[0].supersedes_count, 0);
    assert_int_equal(files.list[1].version, 10);
    assert_int_equal(files.list[2].version, 999);
    assert_string_equal(files.list[2].text, "");
    migration_files_free(&files);
    folder_remove(&folder);
}

static void test_supersedes(void **state) {
    (void)state;
    struct folder folder = folder_make();
    struct migration_files files;
    folder_text(&folder, "schema/tables/001_first.sql",
                "-- What this is.\n"
                "-- supersedes: schema/001_a.sql ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
                "-- supersedes: schema/002_b.sql e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
                "SELECT 1;\n"
                "-- supersedes: nothing, as it is not in the head\n");
    assert_int_equal(migration_files_numbered(&files, folder.path), 0);
    assert_int_equal(files.list[0].supersedes_count, 2);
    assert_string_equal(files.list[0].supersedes[0].name, "schema/001_a.sql");
    assert_string_equal(files.list[0].supersedes[0].checksum,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(files.list[0].supersedes[1].name, "schema/002_b.sql");
    assert_string_equal(files.list[0].supersedes[1].checksum,
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    migration_files_free(&files);
    static const char *const wrong[] = {
        "-- supersedes: ",
        "-- supersedes: schema/001_a.sql",
        "-- supersedes: schema/001_a.sql\nba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "-- supersedes: schema/001_a.sql ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
        "-- supersedes: schema/001_a.sql ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015adf",
        "-- supersedes: schema/001_a.sql BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "-- supersedes:  ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "-- head\n%s\n", wrong[i]);
        folder_text(&folder, "schema/tables/001_first.sql", text);
        refused(&folder, migration_files_numbered, CH_EINVAL,
                "schema/tables/001_first.sql:2: must be `-- supersedes: NAME SHA-256`");
    }
    folder_remove(&folder);
}

static void test_rules(void **state) {
    (void)state;
    static const char *const names[] = {"schema/rules/b.sql",      METRICS_NAME,           "adapters/dust/dust.sql",
                                        "adapters/dust/rules.sql", "adapters/gas/gas.sql", "schema/rules/a.sql"};
    struct folder folder = folder_make();
    folder_text(&folder, "schema/rules/order",
                "# the order\nschema/rules/b.sql\n\nmetrics\nadapters/*/*.sql\nschema/rules/a.sql");
    folder_text(&folder, "schema/rules/a.sql", "SELECT 'a';");
    folder_text(&folder, "schema/rules/b.sql", "abc");
    folder_text(&folder, "adapters/gas/gas.sql", "SELECT 'gas';");
    folder_text(&folder, "adapters/dust/rules.sql", "SELECT 'rules';");
    folder_text(&folder, "adapters/dust/dust.sql", "SELECT 'dust';");
    folder_text(&folder, "adapters/dust/dust.md", "is left alone");
    in_order(&folder, migration_files_rules, names, 6);
    struct migration_files files;
    assert_int_equal(migration_files_rules(&files, folder.path), 0);
    assert_int_equal(files.list[0].version, 0);
    assert_string_equal(files.list[0].checksum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_null(files.list[1].text);
    folder_text(&folder, "schema/simulation/z.sql", "SELECT 'z';");
    assert_int_equal(migration_files_simulation(&files, folder.path), 0);
    assert_int_equal(files.count, 7);
    assert_string_equal(files.list[6].name, "schema/simulation/z.sql");
    migration_files_free(&files);
    folder_remove(&folder);
}

static void test_order_that_is_wrong(void **state) {
    (void)state;
    struct folder folder = folder_make();
    refused(&folder, migration_files_rules, CH_EIO, "schema/rules/order: no such file");
    folder_text(&folder, "schema/rules/a.sql", "SELECT 'a';");
    folder_text(&folder, "schema/rules/b.sql", "SELECT 'b';");
    folder_text(&folder, "schema/rules/order", "schema/rules/a.sql\n");
    refused(&folder, migration_files_rules, CH_EINVAL,
            "schema/rules/b.sql is not in schema/rules/order: no rule is run that is not listed there");
    folder_text(&folder, "schema/rules/order", "schema/rules/a.sql\nschema/rules/b.sql\nschema/rules/a.sql\n");
    refused(&folder, migration_files_rules, CH_EINVAL, "schema/rules/order: schema/rules/a.sql is listed twice");
    folder_text(&folder, "schema/rules/order", "metrics\nschema/rules/a.sql\nschema/rules/b.sql\nmetrics\n");
    refused(&folder, migration_files_rules, CH_EINVAL, "catalogue of metrics is listed twice");
    folder_text(&folder, "schema/rules/order", "schema/rules/a.sql\nschema/rules/c.sql\nschema/rules/b.sql\n");
    refused(&folder, migration_files_rules, CH_EIO, "schema/rules/c.sql: no such file");
    folder_remove(&folder);
}

static void test_nothing_there(void **state) {
    (void)state;
    struct folder folder = folder_make();
    refused(&folder, migration_files_numbered, CH_EIO,
            "schema/tables/*.sql: no such file; [hub] data_dir must name the folder");
    folder_text(&folder, "schema/rules/order", "adapters/*/*.sql\n");
    in_order(&folder, migration_files_rules, NULL, 0);
    folder_remove(&folder);
    refused(&folder, migration_files_numbered, CH_EIO, "no such file");
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {"1_a.sql",     "01_a.sql",    "000_a.sql",  "0001_a.sql",
                                        "001.sql",     "001_.sql",    "001-a.sql",  "001_A.sql",
                                        "001_a.b.sql", "001_a-b.sql", "a001_a.sql", "001a.sql"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct folder folder = folder_make();
        char name[60];
        snprintf(name, sizeof name, "schema/tables/%s", names[i]);
        folder_text(&folder, name, "SELECT 1;");
        refused(&folder, migration_files_numbered, CH_EINVAL, "a schema file's name must be NNN_name.sql");
        captured_expect(captured.text, names[i]);
        folder_remove(&folder);
    }
}

static void test_one_number_twice(void **state) {
    (void)state;
    struct folder folder = folder_make();
    folder_text(&folder, "schema/tables/001_a.sql", "");
    folder_text(&folder, "schema/tables/002_a.sql", "");
    folder_text(&folder, "schema/tables/002_b.sql", "");
    refused(&folder, migration_files_numbered, CH_EINVAL,
            "schema/tables/002_a.sql and schema/tables/002_b.sql have the same number");
    folder_remove(&folder);
}

static void test_content(void **state) {
    (void)state;
    struct folder folder = folder_make();
    folder_write(&folder, "schema/tables/001_a.sql", "SELECT\0 1", 9);
    refused(&folder, migration_files_numbered, CH_EIO, "001_a.sql: cannot be read as text");
    char path[200];
    snprintf(path, sizeof path, "%s/schema/tables/001_a.sql", folder.path);
    assert_int_equal(truncate(path, (off_t)16 * 1024 * 1024 + 1), 0);
    refused(&folder, migration_files_numbered, CH_EINVAL, "has 16777217 bytes, at most 16777216 are read");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    refused(&folder, migration_files_numbered, CH_EIO, "001_a.sql");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/nonexistent", path), 0);
    refused(&folder, migration_files_numbered, CH_EIO, "001_a.sql: No such file or directory");
    folder_remove(&folder);
}

/* The repository's own files: they are read, and no statement of them ends the transaction that they run in. */
static void check_statements(const struct migration_files *files) {
    assert_true(files->count > 0);
    for (size_t i = 0; i < files->count; i++) {
        struct sql_statement statement;
        int count = 0;
        if (files->list[i].text == NULL) {
            continue;
        }
        struct sql_script script = {.text = files->list[i].text, .line = 1};
        while (sql_script_next(&script, &statement)) {
            count++;
            if (sql_statement_is_transaction_control(&statement)) {
                fail_msg("%s:%d: ends the migration's transaction", files->list[i].name, statement.line);
            }
        }
        if (count == 0) {
            fail_msg("%s: has no statement", files->list[i].name);
        }
    }
}

static void test_own_files(void **state) {
    (void)state;
    struct migration_files files;
    assert_int_equal(migration_files_numbered(&files, CITYHUB_SOURCE_DIR), 0);
    check_statements(&files);
    migration_files_free(&files);
    assert_int_equal(migration_files_rules(&files, CITYHUB_SOURCE_DIR), 0);
    assert_int_equal(migration_files_simulation(&files, CITYHUB_SOURCE_DIR), 0);
    check_statements(&files);
    migration_files_free(&files);
    assert_int_equal(migration_files_one(&files, CITYHUB_SOURCE_DIR, "schema/meta.sql"), 0);
    check_statements(&files);
    migration_files_free(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_numbered),
        cmocka_unit_test(test_supersedes),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_order_that_is_wrong),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_own_files),
        cmocka_unit_test(test_one_number_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

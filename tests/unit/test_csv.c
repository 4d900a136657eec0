/* test_csv.c: CSV after RFC 4180: what is read, what is refused and on which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/csv.h"
#include "hub/base/error.h"

/* Reads all of it into one text: fields in <>, rows by their line number. The caller frees. */
static char *shown(const char *bytes, size_t length) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    char *copy = malloc(length + 1); /* exact, so that the sanitizer sees a read too far */
    memcpy(copy, bytes, length);
    copy = realloc(copy, length == 0 ? 1 : length);
    struct csv csv;
    struct csv_row row;
    assert_int_equal(csv_open(&csv, copy, length), 0);
    int code;
    while ((code = csv_next(&csv, &row)) == 1) {
        fprintf(out, "%d:", (int)row.line);
        for (size_t i = 0; i < row.count; i++) {
            fprintf(out, "<%s>", row.fields[i]);
        }
    }
    if (code != 0) {
        assert_int_equal(code, CH_EINVAL);
        fprintf(out, "!%d %s", (int)csv.error_line, csv.error);
        assert_int_equal(csv_next(&csv, &row), 0);
    }
    csv_close(&csv);
    free(copy);
    fclose(out);
    return text;
}

static void expect(const char *bytes, size_t length, const char *wanted) {
    char *text = shown(bytes, length);
    assert_string_equal(text, wanted);
    free(text);
}

#define EXPECT(bytes, wanted) expect(bytes, sizeof(bytes) - 1, wanted)

static void test_good(void **state) {
    (void)state;
    EXPECT("", "");
    EXPECT("\xEF\xBB\xBF", "");
    EXPECT("a,b\n1,2\n", "1:<a><b>2:<1><2>");
    EXPECT("a,b\r\n1,2\r\n", "1:<a><b>2:<1><2>");
    EXPECT("a,b\n1,2", "1:<a><b>2:<1><2>");
    EXPECT("a,b\n'=1+1,\"'@x\"\n'a,''=1\n", "1:<a><b>2:<=1+1><@x>3:<'a><''=1>");
    EXPECT("\xEF\xBB\xBF\"a\",b\n,\n1,\n", "1:<a><b>3:<1><>");
    EXPECT("a,b\n\"x\"\"y\",\"1,2\"\n", "1:<a><b>2:<x\"y><1,2>");
    EXPECT("a,b\n\"x\r\ny\nz\",2\n3,4\n", "1:<a><b>2:<x\r\ny\nz><2>5:<3><4>");
    EXPECT("a,b\n \"\"", "1:<a><b>!2 a quote within a field that does not begin with one");
    EXPECT("a\n\n b \n", "1:<a>3:< b >");
    EXPECT("a,b\n1,2\n\n", "1:<a><b>2:<1><2>");
    EXPECT("a,b\n1,2\n,\n,,,,\r\n\"\",\" \"\n3,4\n,", "1:<a><b>2:<1><2>6:<3><4>");
    EXPECT("\n,,\na,b\n\n1,2", "3:<a><b>5:<1><2>");
    EXPECT("\n\r\n,,\n", "");
    EXPECT("类,别\n暴露垃圾,\"\"\n", "1:<类><别>2:<暴露垃圾><>");
    EXPECT("a,b,\n1,2,\n", "1:<a><b>2:<1><2>");
    EXPECT("a,b,,\r\n1,,, \r\n2,3\r\n,,,\r\n,4,\"\",", "1:<a><b>2:<1><>3:<2><3>5:<><4>");
}

static void test_refused(void **state) {
    (void)state;
    EXPECT("a,b\n1,2\n3\n", "1:<a><b>2:<1><2>!3 1 fields where the header has 2");
    EXPECT("a,b\n1,2,3\n", "1:<a><b>!2 3 fields where the header has 2");
    EXPECT("a,b,\n1,2,,3,\n", "1:<a><b>!2 4 fields where the header has 2");
    EXPECT("a,,b,\n1,,,\n2,\n", "1:<a><><b>2:<1><><>!3 2 fields where the header has 3");
    EXPECT("a,b\n\"1,2\n3,4\n", "1:<a><b>!2 a quoted field has no end");
    EXPECT("a,b\n\"1\"x,2\n", "1:<a><b>!2 something follows the closing quote of field 1");
    EXPECT("a,b\n\"1\"\r,2\n", "1:<a><b>!2 something follows the closing quote of field 1");
    EXPECT("a,b\n\"1\n\"\"\n\" ,2\n", "1:<a><b>!4 something follows the closing quote of field 1");
    EXPECT("a,b\n1\r2,3\n", "1:<a><b>!2 a carriage return without a line feed");
    EXPECT("a,b\n1,2\r", "1:<a><b>!2 a carriage return without a line feed");
    EXPECT("a,b\n1,\xB1\xA9\n", "1:<a><b>!2 field 2 is not valid UTF-8" CSV_HOW_TO_SAVE); /* GBK */
    EXPECT("\xB1\xA9,b\n", "!1 field 1 is not valid UTF-8" CSV_HOW_TO_SAVE);
    EXPECT("\xFF\xFE"
           "a\0,\0b\0\n\0",
           "!1 the file is UTF-16: save it as \"CSV UTF-8\" (CSV UTF-8 逗号分隔)");
    EXPECT("PK\3\4\x14\0\6\0",
           "!1 the file is a workbook (Excel 工作簿): save its sheet as \"CSV UTF-8\" (CSV UTF-8 逗号分隔)");
    EXPECT("\xD0\xCF\x11\xE0\xA1\xB1",
           "!1 the file is a workbook (Excel 工作簿): save its sheet as \"CSV UTF-8\" (CSV UTF-8 逗号分隔)");
    EXPECT("a;b\n1;2\n", "!1 the file has other separators than commas: save it as \"CSV UTF-8\" (CSV UTF-8 逗号分隔)");
    EXPECT("a\tb\n", "!1 the file has other separators than commas: save it as \"CSV UTF-8\" (CSV UTF-8 逗号分隔)");
    EXPECT("a,b\n1,x\0y\n", "1:<a><b>!2 field 2 has a control character");
    EXPECT("a,b\n1,\x1b[1m\n", "1:<a><b>!2 field 2 has a control character");
    char many[2 * (CSV_FIELDS_MAX + 1)];
    memset(many, ',', sizeof many);
    expect(many, sizeof many, "!1 more than 64 fields");
    expect(many, CSV_FIELDS_MAX, "!1 more than 64 fields");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Reading records by their schema: what is inside is found, what is not is missing, and nothing is read outside. */
#include "bpf-templates/record.h"
#include "engine/probe/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEAD = sizeof(struct rille_record), SIZE = HEAD + 80 };

static struct field_schema fields[] = {
        {.name = (char[]){"number"}, .kind = VALUE_INT, .width = 4, .offset = HEAD, .size = 8},
        {.name = (char[]){"array"},
                .kind = VALUE_UINT,
                .width = 2,
                .count = 3,
                .offset = HEAD + 8,
                .size = 16,
                .element_bits = true},
        {.name = (char[]){"text"}, .kind = VALUE_STR, .offset = HEAD + 24, .size = 8},
        {.name = (char[]){"bytes"}, .kind = VALUE_BYTES, .offset = HEAD + 32, .size = 16},
        {.name = (char[]){"wide"}, .kind = VALUE_UINT, .width = 8, .offset = HEAD + 48, .size = 8},
        {.name = (char[]){"address"}, .kind = VALUE_SOCKADDR, .offset = HEAD + 56, .size = 24},
};
static const struct probe_schema schema = {.fields = fields, .nfields = 6, .size = SIZE};

/* In memory of just that size, so that a sanitizer sees any read behind it. */
static struct rille_record *make(size_t size)
{
	uint8_t full[SIZE] = {0};
	struct rille_record *head = (void *)full;
	head->present = 0x3f;
	memcpy(full + HEAD, &(int32_t){-5}, 4);
	memcpy(full + HEAD + 8, (uint16_t[]){1, 65535, 3}, 6);
	full[HEAD + 16] = 0x5; /* the second element has no value */
	memcpy(full + HEAD + 24, "abcdefgh", 8);
	full[HEAD + 32] = 200; /* a length beyond the room */
	memset(full + HEAD + 48, 0xff, 8);
	full[HEAD + 56] = 2;
	struct rille_record *record = malloc(size);
	assert_non_null(record);
	memcpy(record, full, size);
	return record;
}

/* Values are those that were put in; lengths inside the record are not believed beyond the field's room. */
static void test_values(void **state)
{
	struct rille_record *record = make(SIZE);
	struct value v = schema_value(&schema, record, SIZE, 0);
	assert_int_equal(value_int(&v, 0), -5);
	assert_int_equal(value_int(&v, 1), 0);
	v = schema_value(&schema, record, SIZE, 1);
	assert_int_equal(v.count, 3);
	assert_int_equal(value_int(&v, 1), 65535);
	assert_true(value_has(&v, 0) && !value_has(&v, 1) && value_has(&v, 2) && !value_has(&v, 3));
	v = schema_value(&schema, record, SIZE, 2);
	assert_int_equal(v.len, 8);
	v = schema_value(&schema, record, SIZE, 3);
	assert_int_equal(v.len, 12);
	v = schema_value(&schema, record, SIZE, 4);
	assert_true((uint64_t)value_int(&v, 0) == UINT64_MAX);
	v = schema_value(&schema, record, SIZE, 5);
	assert_int_equal(v.len, 2);
	assert_true(schema_value(&schema, record, SIZE, 6).missing);
	free(record);
}

/* A record that ends anywhere: every field that does not fit is missing, and no byte behind the end is read. */
static void test_short_records(void **state)
{
	for (size_t size = HEAD; size <= SIZE; size++) {
		struct rille_record *record = make(size);
		for (size_t i = 0; i < schema.nfields; i++) {
			struct value v = schema_value(&schema, record, size, i);
			assert_int_equal(v.missing, fields[i].offset + fields[i].size > size);
			volatile int64_t sink = value_int(&v, 0);
			for (size_t j = 0; !v.missing && j < v.len; j++)
				sink += v.data[j];
		}
		free(record);
	}
}

/* A field whose bit is clear has no value, whatever its bytes are. */
static void test_absent(void **state)
{
	struct rille_record *record = make(SIZE);
	record->present = 1 << 1;
	for (size_t i = 0; i < schema.nfields; i++)
		assert_int_equal(schema_value(&schema, record, SIZE, i).missing, i != 1);
	free(record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_values),
	        cmocka_unit_test(test_short_records),
	        cmocka_unit_test(test_absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

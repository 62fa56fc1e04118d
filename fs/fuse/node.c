/* SPDX-License-Identifier: MIT */
#include "fs/fuse/node.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fs/reports/events.h"
#include "fs/reports/report.h"
#include "fs/tree/question.h"

void nodes_init(struct nodes *nodes, uint64_t seed)
{
	*nodes = (struct nodes){.next_id = 1, .seed = seed};
}

static void node_free(struct node *node)
{
	record_unref(node->record);
	agent_unref(node->agent);
	report_unref(node->report);
	event_log_unref(node->log);
	if (node->kind == NODE_QUESTION)
		question_unref(node->question);
	free(node);
}

void nodes_done(struct nodes *nodes)
{
	for (size_t i = 0; i < nodes->by_id.bucket_count; i++) {
		for (struct table_link *at = nodes->by_id.buckets[i], *next; at; at = next) {
			next = at->next;
			node_free(TABLE_ENTRY(at, struct node, by_id));
		}
	}
	table_done(&nodes->by_id);
	table_done(&nodes->by_key);
}

struct node *nodes_find(const struct nodes *nodes, uint64_t id)
{
	struct table_link *link = table_first(&nodes->by_id, id);

	return link ? TABLE_ENTRY(link, struct node, by_id) : NULL;
}

size_t nodes_count(const struct nodes *nodes)
{
	return nodes->by_id.entry_count;
}

uint64_t node_id(const struct node *node)
{
	return node->by_id.hash;
}

const char *node_text(const struct node *node)
{
	if (node->log)
		return node->log->text.bytes;
	return node->agent ? node->agent->json : node->text;
}

static struct node *node_new(struct nodes *nodes, enum node_kind kind, uint64_t key,
                             size_t text_bytes)
{
	struct node *node = calloc(1, sizeof(*node) + text_bytes + 1);

	if (!node)
		return NULL;
	node->kind = (uint8_t)kind;
	node->by_id.hash = nodes->next_id;
	node->by_key.hash = key;
	if (table_insert(&nodes->by_id, &node->by_id) < 0) {
		free(node);
		return NULL;
	}
	if (table_insert(&nodes->by_key, &node->by_key) < 0) {
		table_remove(&nodes->by_id, &node->by_id);
		free(node);
		return NULL;
	}
	nodes->next_id++;
	return node;
}

static uint64_t node_hash_directory(const struct nodes *nodes, const struct tree_row *row,
                                    const struct record *record, uint16_t index)
{
	const uintptr_t parts[] = {(uintptr_t)row, (uintptr_t)record, index, nodes->generation};

	return XXH3_64bits_withSeed(parts, sizeof(parts), nodes->seed);
}

struct node *nodes_find_directory(const struct nodes *nodes, const struct tree_row *row,
                                  const struct record *record, uint16_t index)
{
	uint64_t key = node_hash_directory(nodes, row, record, index);

	for (struct table_link *at = table_first(&nodes->by_key, key); at; at = table_next(at)) {
		struct node *node = TABLE_ENTRY(at, struct node, by_key);

		if (node->kind == NODE_DIRECTORY && node->row == row && node->record == record &&
		    node->index == index && node->generation == nodes->generation)
			return node;
	}
	return NULL;
}

struct node *node_directory(struct nodes *nodes, const struct tree_row *row, struct record *record,
                            uint16_t index)
{
	struct node *node = nodes_find_directory(nodes, row, record, index);

	if (node)
		return node;
	node = node_new(nodes, NODE_DIRECTORY, node_hash_directory(nodes, row, record, index), 0);
	if (!node)
		return NULL;
	node->row = row;
	node->record = record ? record_ref(record) : NULL;
	node->index = index;
	node->generation = nodes->generation;
	return node;
}

/* Finds or makes the directory of this kind with this text, for a row. In a new node, question is
 * NULL. Returns NULL if out of memory. */
static struct node *node_of_text(struct nodes *nodes, enum node_kind kind,
                                 const struct tree_row *row, const char *text)
{
	size_t bytes = strlen(text);
	uint64_t key = node_hash_directory(nodes, row, NULL, 0) ^
	               XXH3_64bits_withSeed(text, bytes, nodes->seed);
	struct node *node;

	for (struct table_link *at = table_first(&nodes->by_key, key); at; at = table_next(at)) {
		node = TABLE_ENTRY(at, struct node, by_key);
		if (node->kind == kind && node->row == row && node->bytes == bytes &&
		    node->generation == nodes->generation && memcmp(node->text, text, bytes) == 0)
			return node;
	}
	node = node_new(nodes, kind, key, bytes);
	if (!node)
		return NULL;
	node->row = row;
	node->generation = nodes->generation;
	node->bytes = (uint32_t)bytes;
	memcpy(node->text, text, bytes);
	return node;
}

struct node *node_group(struct nodes *nodes, const struct tree_row *row, const char *value)
{
	return node_of_text(nodes, NODE_GROUP, row, value);
}

struct node *node_question(struct nodes *nodes, const struct tree_row *row, const char *path,
                           struct question *question)
{
	struct node *node = node_of_text(nodes, NODE_QUESTION, row, path);

	if (node && !node->question) {
		node->question = question_ref(question);
		nodes->questions_made++;
	}
	return node;
}

static struct node *node_find_value(const struct nodes *nodes, enum node_kind kind, uint64_t key,
                                    const char *text, size_t bytes, int64_t mtime_ns)
{
	for (struct table_link *at = table_first(&nodes->by_key, key); at; at = table_next(at)) {
		struct node *node = TABLE_ENTRY(at, struct node, by_key);

		if (node->kind == kind && node->mtime_ns == mtime_ns && node->bytes == bytes &&
		    (bytes == 0 || memcmp(node_text(node), text, bytes) == 0))
			return node;
	}
	return NULL;
}

/* Returns the VALUE or LINK with this text and time; makes it if no node has them. agent: the text
 * is its json; NULL: the text is copied. */
static struct node *node_share_value(struct nodes *nodes, enum node_kind kind,
                                     const struct agent *agent, const char *text, size_t bytes,
                                     int64_t mtime_ns)
{
	uint64_t key =
		XXH3_64bits_withSeed(bytes ? text : "", bytes, nodes->seed ^ (uint64_t)mtime_ns);
	struct node *node = node_find_value(nodes, kind, key, text, bytes, mtime_ns);

	if (node)
		return node;
	node = node_new(nodes, kind, key, agent ? 0 : bytes);
	if (!node)
		return NULL;
	if (agent)
		node->agent = agent_ref(agent);
	else if (bytes > 0)
		memcpy(node->text, text, bytes);
	node->bytes = (uint32_t)bytes;
	node->mtime_ns = mtime_ns;
	return node;
}

struct node *node_value(struct nodes *nodes, const char *text, size_t bytes, int64_t mtime_ns)
{
	return node_share_value(nodes, NODE_VALUE, NULL, text, bytes, mtime_ns);
}

struct node *node_json(struct nodes *nodes, const struct agent *agent, int64_t mtime_ns)
{
	return node_share_value(nodes, NODE_VALUE, agent, agent->json, agent->json_bytes, mtime_ns);
}

struct node *node_link(struct nodes *nodes, const char *target, size_t bytes, int64_t mtime_ns)
{
	return node_share_value(nodes, NODE_LINK, NULL, target, bytes, mtime_ns);
}

/* Finds the node of a report or a log by the address of the content, or makes it. In a new node,
 * report and log are NULL: the caller stores a reference. Returns NULL if out of memory. */
static struct node *node_of_content(struct nodes *nodes, enum node_kind kind, const void *content)
{
	const uintptr_t address = (uintptr_t)content;
	uint64_t key = XXH3_64bits_withSeed(&address, sizeof(address), nodes->seed);

	for (struct table_link *at = table_first(&nodes->by_key, key); at; at = table_next(at)) {
		struct node *node = TABLE_ENTRY(at, struct node, by_key);

		if (node->kind == kind && (node->report == content || node->log == content))
			return node;
	}
	return node_new(nodes, kind, key, 0);
}

struct node *node_report(struct nodes *nodes, struct report *report)
{
	struct node *node = node_of_content(nodes, NODE_REPORT, report);

	if (node && !node->report)
		node->report = report_ref(report);
	return node;
}

struct node *node_log(struct nodes *nodes, struct event_log *log)
{
	struct node *node = node_of_content(nodes, NODE_LOG, log);

	if (node && !node->log)
		node->log = event_log_ref(log);
	return node;
}

void node_forget(struct nodes *nodes, struct node *node, uint64_t count)
{
	node->lookups = node->lookups > count ? node->lookups - count : 0;
	if (node->lookups > 0)
		return;
	table_remove(&nodes->by_id, &node->by_id);
	table_remove(&nodes->by_key, &node->by_key);
	node_free(node);
}

/* SPDX-License-Identifier: MIT */
#include "fs/node.h"

#include <stdlib.h>
#include <string.h>

void nodes_init(struct nodes *nodes)
{
	*nodes = (struct nodes){.next_id = 1};
}

static void node_free(struct node *node)
{
	if (node->folder)
		record_unref(node->record);
	agent_unref(node->agent);
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
	nodes->mount = NULL;
	nodes->count = 0;
}

struct node *nodes_find(const struct nodes *nodes, uint64_t id)
{
	struct table_link *link = table_first(&nodes->by_id, id);

	return link ? TABLE_ENTRY(link, struct node, by_id) : NULL;
}

uint64_t node_id(const struct node *node)
{
	return node->by_id.hash;
}

const char *node_text(const struct node *node)
{
	return node->agent ? node->agent->json : node->text;
}

/* The lists. They are short (an agent's files), so they are searched from the front. */

static struct node *list_first(const struct nodes *nodes, const struct record *record)
{
	return record ? record->user : nodes->mount;
}

static void list_set_first(struct nodes *nodes, struct record *record, struct node *node)
{
	if (record)
		record->user = node;
	else
		nodes->mount = node;
}

static struct node *current(const struct nodes *nodes, const struct row *row,
                            const struct record *record, uint16_t index)
{
	struct node *at = list_first(nodes, record);

	while (at && (at->row != row || at->index != index))
		at = at->sibling;
	return at;
}

static void unlist(struct nodes *nodes, struct node *node)
{
	struct node *at = list_first(nodes, node->record);

	if (!node->current)
		return;
	if (at == node) {
		list_set_first(nodes, node->record, node->sibling);
	} else {
		while (at->sibling != node)
			at = at->sibling;
		at->sibling = node->sibling;
	}
	node->sibling = NULL;
	node->current = false;
}

void nodes_orphan(struct record *record)
{
	struct node *at = record->user, *next;

	record->user = NULL;
	for (; at; at = next) {
		next = at->sibling;
		at->sibling = NULL;
		at->current = false;
		if (!at->folder)
			at->record = NULL;
	}
}

static struct node *node_new(struct nodes *nodes, const struct row *row, struct record *record,
                             uint16_t index, size_t text_bytes)
{
	struct node *node = calloc(1, sizeof(*node) + text_bytes);

	if (!node)
		return NULL;
	node->by_id.hash = nodes->next_id;
	if (table_insert(&nodes->by_id, &node->by_id) < 0) {
		free(node);
		return NULL;
	}
	nodes->next_id++;
	nodes->count++;
	node->row = row;
	node->record = record;
	node->index = index;
	node->current = true;
	node->sibling = list_first(nodes, record);
	list_set_first(nodes, record, node);
	return node;
}

static void node_destroy(struct nodes *nodes, struct node *node)
{
	unlist(nodes, node);
	table_remove(&nodes->by_id, &node->by_id);
	nodes->count--;
	node_free(node);
}

/* Another value takes the place of this one, which lives on for those who hold it. */
static void supersede(struct nodes *nodes, struct node *node)
{
	unlist(nodes, node);
	node->record = NULL;
	node_settle(nodes, node);
}

struct node *node_folder(struct nodes *nodes, const struct row *row, struct record *record,
                         uint16_t index)
{
	struct node *node = current(nodes, row, record, index);

	if (node)
		return node;
	node = node_new(nodes, row, record, index, 0);
	if (!node)
		return NULL;
	node->folder = true;
	if (record)
		record_ref(record);
	return node;
}

struct node *node_value(struct nodes *nodes, const struct row *row, struct record *record,
                        uint16_t index, const char *text, size_t bytes, int64_t mtime_ns)
{
	struct node *old = current(nodes, row, record, index);
	struct node *node;

	if (old && old->bytes == bytes && (bytes == 0 || memcmp(old->text, text, bytes) == 0))
		return old;
	node = node_new(nodes, row, record, index, bytes);
	if (!node)
		return NULL;
	if (bytes > 0)
		memcpy(node->text, text, bytes);
	node->bytes = (uint32_t)bytes;
	node->mtime_ns = mtime_ns;
	if (old)
		supersede(nodes, old);
	return node;
}

struct node *node_json(struct nodes *nodes, const struct row *row, struct record *record,
                       int64_t mtime_ns)
{
	const struct agent *agent = record->agent;
	struct node *old = current(nodes, row, record, 0);
	struct node *node;

	if (old && (old->agent == agent || agent_same(old->agent, agent, AGENT_JSON, 0)))
		return old;
	node = node_new(nodes, row, record, 0, 0);
	if (!node)
		return NULL;
	node->agent = agent_ref(agent);
	node->bytes = (uint32_t)agent->json_bytes;
	node->mtime_ns = mtime_ns;
	if (old)
		supersede(nodes, old);
	return node;
}

void node_settle(struct nodes *nodes, struct node *node)
{
	if (node->lookups == 0)
		node_destroy(nodes, node);
}

void node_forget(struct nodes *nodes, struct node *node, uint64_t count)
{
	node->lookups = node->lookups > count ? node->lookups - count : 0;
	node_settle(nodes, node);
}

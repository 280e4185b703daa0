#include "common/db_private.h"

#include <stdio.h>

#include "common/ration.h"
#include "common/timer.h"

static void
conn_begin(struct db_conn *c)
{
	char sql[128];

	db_conn_set_state(c, CONN_BEGIN);
	snprintf(sql, sizeof(sql), "BEGIN %s; SET LOCAL statement_timeout = %u",
	    c->task->writes ? "READ WRITE" : "READ ONLY",
	    c->db->options.statement_timeout_ms);
	db_conn_send(c, PQsendQuery(c->pg, sql));
}

static void
conn_end_transaction(struct db_conn *c)
{
	bool commit = c->task->writes && !c->statement_failed;

	db_conn_set_state(c, CONN_ENDING);
	db_conn_send(c, PQsendQuery(c->pg, commit ? "COMMIT" : "ROLLBACK"));
}

void
db_conn_take_task(struct db_conn *c)
{
	struct db_task *task = TAILQ_FIRST(&c->db->waiting);

	db_conn_set_state(c, CONN_IDLE);
	db_conn_watch(c, EV_READ);
	if (task == NULL)
		return;
	TAILQ_REMOVE(&c->db->waiting, task, link);
	task->conn = c;
	c->task = task;
	conn_begin(c);
}

static void
conn_next(struct db_conn *c)
{
	if (c->statement_failed || !c->task->next(c->task, c->pg)) {
		conn_end_transaction(c);
		return;
	}
	db_conn_set_state(c, CONN_TASK);
	db_conn_send(c, 1);
}

static void
conn_finish_task(struct db_conn *c)
{
	struct db_task *task = c->task;
	PGresult *failed = c->failed;

	c->failed = NULL;
	c->statement_failed = false;
	db_task_done(task, failed, NULL);
	PQclear(failed);
	db_conn_take_task(c);
}

/* Results ---------------------------------------------------------------- */

/* All results of a statement are read. */
static void
statement_ended(struct db_conn *c)
{
	switch (c->state) {
	case CONN_SETUP:
		db_conn_ready(c);
		break;
	case CONN_BEGIN:
	case CONN_TASK:
		conn_next(c);
		break;
	case CONN_ENDING:
		conn_finish_task(c);
		break;
	case CONN_DOWN:
	case CONN_RESOLVING:
	case CONN_CONNECTING:
	case CONN_IDLE:
		break;
	}
}

/* Takes over the result. False: the connection was given up. */
static bool
take_result(struct db_conn *c, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	enum db_verdict verdict = DB_MORE;
	struct db_task *task = c->task;

	if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
		c->statement_failed = true;
		if (c->failed == NULL) {
			c->failed = result;
			return true;
		}
	} else if (c->state == CONN_TASK) {
		verdict = task->on_result(task, result);
	}
	PQclear(result);
	if (verdict == DB_MORE)
		return true;
	/* The server is sending: it notices at once. */
	db_conn_close(c);
	timer_set(c->timer, 0);
	db_task_done(task, NULL, NULL);
	return false;
}

/* Reads what is there, within the ration. False: the connection is of no use. */
static bool
conn_consume(struct db_conn *c)
{
	struct ration ration;
	int ok;

	ration_begin(&ration, c->db->options.message_max);
	ok = PQconsumeInput(c->pg);
	ration_end(&ration);
	return ok == 1;
}

/* Whether the rest of a result is still to come; parses what has come. */
static bool
conn_is_busy(struct db_conn *c)
{
	struct ration ration;
	int busy;

	ration_begin(&ration, c->db->options.message_max);
	busy = PQisBusy(c->pg);
	ration_end(&ration);
	return busy == 1;
}

void
db_conn_read(struct db_conn *c)
{
	if (!conn_consume(c)) {
		db_conn_lost(c, PQerrorMessage(c->pg));
		return;
	}
	while (c->pg != NULL && c->state > CONN_CONNECTING &&
	       c->state != CONN_IDLE && !conn_is_busy(c)) {
		PGresult *result = PQgetResult(c->pg);

		if (result == NULL)
			statement_ended(c);
		else if (!take_result(c, result))
			return;
	}
}

-- The table of the Go proposer, as its migration makes it.
CREATE TABLE proof_requests (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    type text NOT NULL,
    start_block integer NOT NULL,
    end_block integer NOT NULL,
    status text NOT NULL,
    request_added_time integer NOT NULL,
    prover_request_id text NULL,
    proof_request_time integer NULL,
    last_updated_time integer NOT NULL,
    l1_block_number integer NULL,
    l1_block_hash text NULL,
    proof blob NULL
) STRICT

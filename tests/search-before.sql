BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'grid');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MINIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'claim','"0d31127c360b5d668ccea3afcba06c8fc2548e5e8b4e319bf3f7cc347ef5fa22"');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_heartbeats" VALUES(1,1,'2026-11-28 00:30:09');
INSERT INTO "trial_heartbeats" VALUES(2,2,'2026-11-28 00:30:10');
INSERT INTO "trial_heartbeats" VALUES(3,3,'2026-11-28 00:30:11');
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'vae3d.learning_rate',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["0.0001", "0.001", "0.01"]}}');
INSERT INTO "trial_params" VALUES(2,1,'model.blocks',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["[1, 1, 1, 1]", "[2, 2, 2, 2]"]}}');
INSERT INTO "trial_params" VALUES(3,2,'vae3d.learning_rate',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["0.0001", "0.001", "0.01"]}}');
INSERT INTO "trial_params" VALUES(4,2,'model.blocks',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["[1, 1, 1, 1]", "[2, 2, 2, 2]"]}}');
INSERT INTO "trial_params" VALUES(5,3,'vae3d.learning_rate',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["0.0001", "0.001", "0.01"]}}');
INSERT INTO "trial_params" VALUES(6,3,'model.blocks',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["[1, 1, 1, 1]", "[2, 2, 2, 2]"]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'fixed_params','{"vae3d.learning_rate": "0.0001", "model.blocks": "[1, 1, 1, 1]"}');
INSERT INTO "trial_system_attributes" VALUES(2,2,'fixed_params','{"vae3d.learning_rate": "0.0001", "model.blocks": "[2, 2, 2, 2]"}');
INSERT INTO "trial_system_attributes" VALUES(3,3,'fixed_params','{"vae3d.learning_rate": "0.001", "model.blocks": "[1, 1, 1, 1]"}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'point','0');
INSERT INTO "trial_user_attributes" VALUES(2,1,'begun','true');
INSERT INTO "trial_user_attributes" VALUES(3,1,'values','[2.04]');
INSERT INTO "trial_user_attributes" VALUES(4,2,'point','1');
INSERT INTO "trial_user_attributes" VALUES(5,2,'begun','true');
INSERT INTO "trial_user_attributes" VALUES(6,2,'values','[2.14]');
INSERT INTO "trial_user_attributes" VALUES(7,3,'point','2');
INSERT INTO "trial_user_attributes" VALUES(8,3,'begun','true');
INSERT INTO "trial_user_attributes" VALUES(9,3,'interrupted','true');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,2.04,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,2.14,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-28 00:30:09.055325','2026-11-28 00:30:09.235731');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-28 00:30:10.407955','2026-11-28 00:30:10.473960');
INSERT INTO "trials" VALUES(3,2,1,'FAIL','2026-11-28 00:30:11.369891','2026-11-28 00:30:11.490486');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;

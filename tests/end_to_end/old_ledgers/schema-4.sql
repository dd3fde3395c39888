BEGIN TRANSACTION;
CREATE TABLE about (
	version INTEGER NOT NULL
);
INSERT INTO "about" VALUES(4);
CREATE TABLE approvals (
	campaign INTEGER NOT NULL, 
	round INTEGER NOT NULL, 
	why TEXT NOT NULL, 
	granted BOOLEAN, 
	"by" TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (campaign, round), 
	FOREIGN KEY(campaign) REFERENCES campaigns (id)
);
CREATE TABLE attempts (
	id INTEGER NOT NULL, 
	campaign INTEGER NOT NULL, 
	request INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	token INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	verdict VARCHAR, 
	reason TEXT NOT NULL, 
	applied JSON, 
	out JSON, 
	readings JSON, 
	censored JSON, 
	raw TEXT NOT NULL, 
	sent_at FLOAT, 
	done_at FLOAT, 
	seconds FLOAT, 
	PRIMARY KEY (id), 
	UNIQUE (request, attempt), 
	FOREIGN KEY(campaign) REFERENCES campaigns (id), 
	FOREIGN KEY(request) REFERENCES requests (id)
);
INSERT INTO "attempts" VALUES(1,1,1,1,1,'DONE','OK','','{"R": 0.0, "G": 0.0, "B": 0.0}','{"415nm": 1037, "445nm": 1925, "480nm": 2566, "515nm": 3694, "555nm": 5077, "590nm": 5843, "630nm": 5999, "680nm": 5024, "clear": 25258, "nir": 7809}','[1037.0, 1925.0, 2566.0, 3694.0, 5077.0, 5843.0, 5999.0, 5024.0, 25258.0, 7809.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.0, 0.0, 0.0], "out": {"415nm": 1037, "445nm": 1925, "480nm": 2566, "515nm": 3694, "555nm": 5077, "590nm": 5843, "630nm": 5999, "680nm": 5024, "clear": 25258, "nir": 7809}}',1.79597057193003106119e+09,1.79597057205391836165e+09,0.896851474224432);
INSERT INTO "attempts" VALUES(2,1,2,1,1,'DONE','OK','','{"R": 0.1, "G": 0.3, "B": 0.7}','{"415nm": 2194, "445nm": 23261, "480nm": 12117, "515nm": 23267, "555nm": 8433, "590nm": 8230, "630nm": 9992, "680nm": 6111, "clear": 63216, "nir": 8406}','[2194.0, 23261.0, 12117.0, 23267.0, 8433.0, 8230.0, 9992.0, 6111.0, 63216.0, 8406.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.1, 0.3, 0.7], "out": {"415nm": 2194, "445nm": 23261, "480nm": 12117, "515nm": 23267, "555nm": 8433, "590nm": 8230, "630nm": 9992, "680nm": 6111, "clear": 63216, "nir": 8406}}',1.79597057210646057125e+09,1.79597057212844777107e+09,7.809726685212066144e-01);
INSERT INTO "attempts" VALUES(3,1,3,1,1,'DONE','OK_CENSORED','clear is at its ceiling','{"R": 0.5, "G": 0.9, "B": 0.9}','{"415nm": 3159, "445nm": 29558, "480nm": 21038, "515nm": 61778, "555nm": 14669, "590nm": 15221, "630nm": 22489, "680nm": 7165, "clear": 65535, "nir": 9872}','[3159.0, 29558.0, 21038.0, 61778.0, 14669.0, 15221.0, 22489.0, 7165.0, null, 9872.0]','[false, false, false, false, false, false, false, false, true, false]','{"in": [0.5, 0.9, 0.9], "out": {"415nm": 3159, "445nm": 29558, "480nm": 21038, "515nm": 61778, "555nm": 14669, "590nm": 15221, "630nm": 22489, "680nm": 7165, "clear": 65535, "nir": 9872}}',1.79597057215605068205e+09,1.79597057222434663774e+09,7.03299505443096606427e-01);
INSERT INTO "attempts" VALUES(4,1,4,1,1,'DONE','OK','','{"R": 0.7, "G": 0.1, "B": 0.5}','{"415nm": 2019, "445nm": 17270, "480nm": 8409, "515nm": 10929, "555nm": 6637, "590nm": 17029, "630nm": 27004, "680nm": 5807, "clear": 61288, "nir": 9121}','[2019.0, 17270.0, 8409.0, 10929.0, 6637.0, 17029.0, 27004.0, 5807.0, 61288.0, 9121.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.7, 0.1, 0.5], "out": {"415nm": 2019, "445nm": 17270, "480nm": 8409, "515nm": 10929, "555nm": 6637, "590nm": 17029, "630nm": 27004, "680nm": 5807, "clear": 61288, "nir": 9121}}',1.79597057224219369894e+09,1.79597057226448369028e+09,9.36588776649190934975e-01);
INSERT INTO "attempts" VALUES(5,1,5,1,1,'DONE','OK','','{"R": 0.3, "G": 0.5, "B": 0.1}','{"415nm": 1734, "445nm": 5214, "480nm": 9329, "515nm": 35454, "555nm": 10170, "590nm": 11146, "630nm": 15432, "680nm": 5763, "clear": 59926, "nir": 8847}','[1734.0, 5214.0, 9329.0, 35454.0, 10170.0, 11146.0, 15432.0, 5763.0, 59926.0, 8847.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3, 0.5, 0.1], "out": {"415nm": 1734, "445nm": 5214, "480nm": 9329, "515nm": 35454, "555nm": 10170, "590nm": 11146, "630nm": 15432, "680nm": 5763, "clear": 59926, "nir": 8847}}',1.7959705722995169163e+09,1.79597057232328033448e+09,9.06173433017487428564e-01);
INSERT INTO "attempts" VALUES(6,1,6,1,1,'DONE','OK_CENSORED','clear is at its ceiling','{"R": 0.9, "G": 0.7, "B": 0.3}','{"415nm": 2407, "445nm": 11370, "480nm": 13706, "515nm": 48735, "555nm": 12569, "590nm": 20600, "630nm": 33298, "680nm": 6358, "clear": 65535, "nir": 9977}','[2407.0, 11370.0, 13706.0, 48735.0, 12569.0, 20600.0, 33298.0, 6358.0, null, 9977.0]','[false, false, false, false, false, false, false, false, true, false]','{"in": [0.9, 0.7, 0.3], "out": {"415nm": 2407, "445nm": 11370, "480nm": 13706, "515nm": 48735, "555nm": 12569, "590nm": 20600, "630nm": 33298, "680nm": 6358, "clear": 65535, "nir": 9977}}',1.79597057234948229795e+09,1.79597057246882486339e+09,7.16873572659736724155e-01);
INSERT INTO "attempts" VALUES(7,1,7,1,1,'DONE','OK','','{"R": 0.0, "G": 0.0, "B": 0.0}','{"415nm": 1011, "445nm": 1877, "480nm": 2501, "515nm": 3600, "555nm": 4944, "590nm": 5690, "630nm": 5841, "680nm": 4897, "clear": 24621, "nir": 7622}','[1011.0, 1877.0, 2501.0, 3600.0, 4944.0, 5690.0, 5841.0, 4897.0, 24621.0, 7622.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.0, 0.0, 0.0], "out": {"415nm": 1011, "445nm": 1877, "480nm": 2501, "515nm": 3600, "555nm": 4944, "590nm": 5690, "630nm": 5841, "680nm": 4897, "clear": 24621, "nir": 7622}}',1.79597057630680346489e+09,1.79597057635046577451e+09,0.694002514103589);
INSERT INTO "attempts" VALUES(8,1,8,1,1,'DONE','OK','','{"R": 0.3371202663191386, "G": 0.1920750774270787, "B": 0.47392962117035753}','{"415nm": 1886, "445nm": 16358, "480nm": 8959, "515nm": 16445, "555nm": 7220, "590nm": 11372, "630nm": 16227, "680nm": 5665, "clear": 55593, "nir": 8409}','[1886.0, 16358.0, 8959.0, 16445.0, 7220.0, 11372.0, 16227.0, 5665.0, 55593.0, 8409.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3371202663191386, 0.1920750774270787, 0.47392962117035753], "out": {"415nm": 1886, "445nm": 16358, "480nm": 8959, "515nm": 16445, "555nm": 7220, "590nm": 11372, "630nm": 16227, "680nm": 5665, "clear": 55593, "nir": 8409}}',1.7959705769884064197e+09,1.79597057704834437374e+09,7.37912981040248938668e-01);
INSERT INTO "attempts" VALUES(9,1,9,1,1,'DONE','OK','','{"R": 0.3371202663191386, "G": 0.1920750774270787, "B": 0.47392962117035753}','{"415nm": 1883, "445nm": 16308, "480nm": 8903, "515nm": 16271, "555nm": 7246, "590nm": 11384, "630nm": 16326, "680nm": 5653, "clear": 54703, "nir": 8366}','[1883.0, 16308.0, 8903.0, 16271.0, 7246.0, 11384.0, 16326.0, 5653.0, 54703.0, 8366.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3371202663191386, 0.1920750774270787, 0.47392962117035753], "out": {"415nm": 1883, "445nm": 16308, "480nm": 8903, "515nm": 16271, "555nm": 7246, "590nm": 11384, "630nm": 16326, "680nm": 5653, "clear": 54703, "nir": 8366}}',1.7959705770915594101e+09,1.79597057711258292203e+09,8.1104630518361287006e-01);
INSERT INTO "attempts" VALUES(10,1,10,1,1,'DONE','OK','','{"R": 0.3371202663191386, "G": 0.1920750774270787, "B": 0.47392962117035753}','{"415nm": 1868, "445nm": 16200, "480nm": 8868, "515nm": 16346, "555nm": 7166, "590nm": 11313, "630nm": 16192, "680nm": 5583, "clear": 55948, "nir": 8302}','[1868.0, 16200.0, 8868.0, 16346.0, 7166.0, 11313.0, 16192.0, 5583.0, 55948.0, 8302.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3371202663191386, 0.1920750774270787, 0.47392962117035753], "out": {"415nm": 1868, "445nm": 16200, "480nm": 8868, "515nm": 16346, "555nm": 7166, "590nm": 11313, "630nm": 16192, "680nm": 5583, "clear": 55948, "nir": 8302}}',1.79597057714652323721e+09,1.79597057726420187952e+09,8.03393039512645623645e-01);
INSERT INTO "attempts" VALUES(11,1,11,1,1,'DONE','OK','','{"R": 0.3371202663191386, "G": 0.1920750774270787, "B": 0.47392962117035753}','{"415nm": 1875, "445nm": 16409, "480nm": 8912, "515nm": 16277, "555nm": 7120, "590nm": 11279, "630nm": 16153, "680nm": 5574, "clear": 54910, "nir": 8238}','[1875.0, 16409.0, 8912.0, 16277.0, 7120.0, 11279.0, 16153.0, 5574.0, 54910.0, 8238.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3371202663191386, 0.1920750774270787, 0.47392962117035753], "out": {"415nm": 1875, "445nm": 16409, "480nm": 8912, "515nm": 16277, "555nm": 7120, "590nm": 11279, "630nm": 16153, "680nm": 5574, "clear": 54910, "nir": 8238}}',1.79597057738371968264e+09,1.7959705773864312172e+09,7.17670772384763178131e-01);
INSERT INTO "attempts" VALUES(12,1,13,1,1,'DONE','OK','','{"R": 0.0, "G": 0.0, "B": 0.0}','{"415nm": 988, "445nm": 1833, "480nm": 2443, "515nm": 3517, "555nm": 4838, "590nm": 5567, "630nm": 5718, "680nm": 4779, "clear": 24056, "nir": 7439}','[988.0, 1833.0, 2443.0, 3517.0, 4838.0, 5567.0, 5718.0, 4779.0, 24056.0, 7439.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.0, 0.0, 0.0], "out": {"415nm": 988, "445nm": 1833, "480nm": 2443, "515nm": 3517, "555nm": 4838, "590nm": 5567, "630nm": 5718, "680nm": 4779, "clear": 24056, "nir": 7439}}',1.79597057840117073053e+09,1.79597057845200586316e+09,1.14293925024301978865e+00);
INSERT INTO "attempts" VALUES(13,1,14,1,1,'DONE','OK','','{"R": 0.3437362180897816, "G": 0.19343553485629475, "B": 0.47633567759043555}','{"415nm": 1887, "445nm": 16372, "480nm": 8941, "515nm": 16408, "555nm": 7189, "590nm": 11434, "630nm": 16373, "680nm": 5610, "clear": 55824, "nir": 8263}','[1887.0, 16372.0, 8941.0, 16408.0, 7189.0, 11434.0, 16373.0, 5610.0, 55824.0, 8263.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3437362180897816, 0.19343553485629475, 0.47633567759043555], "out": {"415nm": 1887, "445nm": 16372, "480nm": 8941, "515nm": 16408, "555nm": 7189, "590nm": 11434, "630nm": 16373, "680nm": 5610, "clear": 55824, "nir": 8263}}',1.79597057892538762092e+09,1.795970578932459116e+09,0.977874838837832);
INSERT INTO "attempts" VALUES(14,1,15,1,1,'DONE','OK','','{"R": 0.3437362180897816, "G": 0.19343553485629475, "B": 0.47633567759043555}','{"415nm": 1890, "445nm": 16431, "480nm": 8934, "515nm": 16200, "555nm": 7247, "590nm": 11450, "630nm": 16396, "680nm": 5634, "clear": 56916, "nir": 8363}','[1890.0, 16431.0, 8934.0, 16200.0, 7247.0, 11450.0, 16396.0, 5634.0, 56916.0, 8363.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3437362180897816, 0.19343553485629475, 0.47633567759043555], "out": {"415nm": 1890, "445nm": 16431, "480nm": 8934, "515nm": 16200, "555nm": 7247, "590nm": 11450, "630nm": 16396, "680nm": 5634, "clear": 56916, "nir": 8363}}',1.79597057894854855537e+09,1.79597057896417546269e+09,7.17592467086699659084e-01);
INSERT INTO "attempts" VALUES(15,1,16,1,1,'DONE','OK','','{"R": 0.3437362180897816, "G": 0.19343553485629475, "B": 0.47633567759043555}','{"415nm": 1901, "445nm": 16535, "480nm": 9038, "515nm": 16523, "555nm": 7299, "590nm": 11556, "630nm": 16569, "680nm": 5678, "clear": 55417, "nir": 8421}','[1901.0, 16535.0, 9038.0, 16523.0, 7299.0, 11556.0, 16569.0, 5678.0, 55417.0, 8421.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3437362180897816, 0.19343553485629475, 0.47633567759043555], "out": {"415nm": 1901, "445nm": 16535, "480nm": 9038, "515nm": 16523, "555nm": 7299, "590nm": 11556, "630nm": 16569, "680nm": 5678, "clear": 55417, "nir": 8421}}',1.79597057902389049526e+09,1.79597057903128695492e+09,7.25516830106349153162e-01);
INSERT INTO "attempts" VALUES(16,2,19,1,2,'DONE','OK','','{"R": 0.0, "G": 0.0, "B": 0.0}','{"415nm": 1037, "445nm": 1925, "480nm": 2566, "515nm": 3694, "555nm": 5077, "590nm": 5843, "630nm": 5999, "680nm": 5024, "clear": 25258, "nir": 7809}','[1037.0, 1925.0, 2566.0, 3694.0, 5077.0, 5843.0, 5999.0, 5024.0, 25258.0, 7809.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.0, 0.0, 0.0], "out": {"415nm": 1037, "445nm": 1925, "480nm": 2566, "515nm": 3694, "555nm": 5077, "590nm": 5843, "630nm": 5999, "680nm": 5024, "clear": 25258, "nir": 7809}}',1.79597058146524453164e+09,1.79597058159625959394e+09,0.896851474224432);
INSERT INTO "attempts" VALUES(17,2,20,1,2,'DONE','OK','','{"R": 0.1, "G": 0.3, "B": 0.7}','{"415nm": 2194, "445nm": 23261, "480nm": 12117, "515nm": 23267, "555nm": 8433, "590nm": 8230, "630nm": 9992, "680nm": 6111, "clear": 63216, "nir": 8406}','[2194.0, 23261.0, 12117.0, 23267.0, 8433.0, 8230.0, 9992.0, 6111.0, 63216.0, 8406.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.1, 0.3, 0.7], "out": {"415nm": 2194, "445nm": 23261, "480nm": 12117, "515nm": 23267, "555nm": 8433, "590nm": 8230, "630nm": 9992, "680nm": 6111, "clear": 63216, "nir": 8406}}',1.79597058168838214875e+09,1.79597058175065493581e+09,7.809726685212066144e-01);
INSERT INTO "attempts" VALUES(18,2,21,1,2,'DONE','OK_CENSORED','clear is at its ceiling','{"R": 0.5, "G": 0.9, "B": 0.9}','{"415nm": 3159, "445nm": 29558, "480nm": 21038, "515nm": 61778, "555nm": 14669, "590nm": 15221, "630nm": 22489, "680nm": 7165, "clear": 65535, "nir": 9872}','[3159.0, 29558.0, 21038.0, 61778.0, 14669.0, 15221.0, 22489.0, 7165.0, null, 9872.0]','[false, false, false, false, false, false, false, false, true, false]','{"in": [0.5, 0.9, 0.9], "out": {"415nm": 3159, "445nm": 29558, "480nm": 21038, "515nm": 61778, "555nm": 14669, "590nm": 15221, "630nm": 22489, "680nm": 7165, "clear": 65535, "nir": 9872}}',1795970581.88677,1.79597058196021103857e+09,7.03299505443096606427e-01);
INSERT INTO "attempts" VALUES(19,2,22,1,2,'DONE','OK','','{"R": 0.7, "G": 0.1, "B": 0.5}','{"415nm": 2019, "445nm": 17270, "480nm": 8409, "515nm": 10929, "555nm": 6637, "590nm": 17029, "630nm": 27004, "680nm": 5807, "clear": 61288, "nir": 9121}','[2019.0, 17270.0, 8409.0, 10929.0, 6637.0, 17029.0, 27004.0, 5807.0, 61288.0, 9121.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.7, 0.1, 0.5], "out": {"415nm": 2019, "445nm": 17270, "480nm": 8409, "515nm": 10929, "555nm": 6637, "590nm": 17029, "630nm": 27004, "680nm": 5807, "clear": 61288, "nir": 9121}}',1.7959705820166656971e+09,1.79597058208177351957e+09,9.36588776649190934975e-01);
INSERT INTO "attempts" VALUES(20,2,23,1,2,'DONE','OK','','{"R": 0.3, "G": 0.5, "B": 0.1}','{"415nm": 1734, "445nm": 5214, "480nm": 9329, "515nm": 35454, "555nm": 10170, "590nm": 11146, "630nm": 15432, "680nm": 5763, "clear": 59926, "nir": 8847}','[1734.0, 5214.0, 9329.0, 35454.0, 10170.0, 11146.0, 15432.0, 5763.0, 59926.0, 8847.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3, 0.5, 0.1], "out": {"415nm": 1734, "445nm": 5214, "480nm": 9329, "515nm": 35454, "555nm": 10170, "590nm": 11146, "630nm": 15432, "680nm": 5763, "clear": 59926, "nir": 8847}}',1.79597058217660665514e+09,1.79597058224052381512e+09,9.06173433017487428564e-01);
INSERT INTO "attempts" VALUES(21,2,24,1,2,'DONE','OK_CENSORED','clear is at its ceiling','{"R": 0.9, "G": 0.7, "B": 0.3}','{"415nm": 2407, "445nm": 11370, "480nm": 13706, "515nm": 48735, "555nm": 12569, "590nm": 20600, "630nm": 33298, "680nm": 6358, "clear": 65535, "nir": 9977}','[2407.0, 11370.0, 13706.0, 48735.0, 12569.0, 20600.0, 33298.0, 6358.0, null, 9977.0]','[false, false, false, false, false, false, false, false, true, false]','{"in": [0.9, 0.7, 0.3], "out": {"415nm": 2407, "445nm": 11370, "480nm": 13706, "515nm": 48735, "555nm": 12569, "590nm": 20600, "630nm": 33298, "680nm": 6358, "clear": 65535, "nir": 9977}}',1.79597058224418210979e+09,1.79597058228428626061e+09,7.16873572659736724155e-01);
INSERT INTO "attempts" VALUES(22,2,25,1,2,'DONE','OK','','{"R": 0.0, "G": 0.0, "B": 0.0}','{"415nm": 1011, "445nm": 1877, "480nm": 2501, "515nm": 3600, "555nm": 4944, "590nm": 5690, "630nm": 5841, "680nm": 4897, "clear": 24621, "nir": 7622}','[1011.0, 1877.0, 2501.0, 3600.0, 4944.0, 5690.0, 5841.0, 4897.0, 24621.0, 7622.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.0, 0.0, 0.0], "out": {"415nm": 1011, "445nm": 1877, "480nm": 2501, "515nm": 3600, "555nm": 4944, "590nm": 5690, "630nm": 5841, "680nm": 4897, "clear": 24621, "nir": 7622}}',1.79597058310286712646e+09,1.7959705831595783234e+09,0.694002514103589);
INSERT INTO "attempts" VALUES(23,2,26,1,2,'DONE','OK','','{"R": 0.3371202663191386, "G": 0.1920750774270787, "B": 0.47392962117035753}','{"415nm": 1886, "445nm": 16358, "480nm": 8959, "515nm": 16445, "555nm": 7220, "590nm": 11372, "630nm": 16227, "680nm": 5665, "clear": 55593, "nir": 8409}','[1886.0, 16358.0, 8959.0, 16445.0, 7220.0, 11372.0, 16227.0, 5665.0, 55593.0, 8409.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3371202663191386, 0.1920750774270787, 0.47392962117035753], "out": {"415nm": 1886, "445nm": 16358, "480nm": 8959, "515nm": 16445, "555nm": 7220, "590nm": 11372, "630nm": 16227, "680nm": 5665, "clear": 55593, "nir": 8409}}',1.79597058369449734688e+09,1.7959705837210919857e+09,7.37912981040248938668e-01);
INSERT INTO "attempts" VALUES(24,2,27,1,2,'DONE','OK','','{"R": 0.3371202663191386, "G": 0.1920750774270787, "B": 0.47392962117035753}','{"415nm": 1883, "445nm": 16308, "480nm": 8903, "515nm": 16271, "555nm": 7246, "590nm": 11384, "630nm": 16326, "680nm": 5653, "clear": 54703, "nir": 8366}','[1883.0, 16308.0, 8903.0, 16271.0, 7246.0, 11384.0, 16326.0, 5653.0, 54703.0, 8366.0]','[false, false, false, false, false, false, false, false, false, false]','{"in": [0.3371202663191386, 0.1920750774270787, 0.47392962117035753], "out": {"415nm": 1883, "445nm": 16308, "480nm": 8903, "515nm": 16271, "555nm": 7246, "590nm": 11384, "630nm": 16326, "680nm": 5653, "clear": 54703, "nir": 8366}}',1.79597058376610016821e+09,1795970583.79196,8.1104630518361287006e-01);
CREATE TABLE campaigns (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	title TEXT NOT NULL, 
	instrument TEXT NOT NULL, 
	space JSON NOT NULL, 
	config JSON NOT NULL, 
	versions JSON NOT NULL, 
	state VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	control VARCHAR DEFAULT 'run' NOT NULL, 
	created FLOAT NOT NULL, 
	updated FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "campaigns" VALUES(1,'done','done','twin-7','{"knobs": [{"name": "R", "low": 0.0, "high": 1.0, "off": null, "unit": "duty", "resolution": null}, {"name": "G", "low": 0.0, "high": 1.0, "off": null, "unit": "duty", "resolution": null}, {"name": "B", "low": 0.0, "high": 1.0, "off": null, "unit": "duty", "resolution": null}], "channels": [{"name": "415nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 4.9, "integral": true}, {"name": "445nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 73.8, "integral": true}, {"name": "480nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 42.4, "integral": true}, {"name": "515nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 131.7, "integral": true}, {"name": "555nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 35.3, "integral": true}, {"name": "590nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 39.1, "integral": true}, {"name": "630nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 72.5, "integral": true}, {"name": "680nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 8.0, "integral": true}, {"name": "clear", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 521.6, "integral": true}, {"name": "nir", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 26.0, "integral": true}]}','{"name": "done", "seed": 1, "budget": 100, "instrument": {"plugin": "twin", "seed": 7, "daylight": 1500.0, "memory_h": 1.0}, "targets": [{"name": "white", "readings": {"445nm": 16384.0, "515nm": 16384.0, "630nm": 16384.0}, "tolerance": "1 %"}], "design": {"plugin": "maximin-latin-hypercube", "n": null}, "models": [{"plugin": "linear"}, {"plugin": "mixture"}], "acquisition": {"plugin": "uncertainty", "n": 4, "rounds": 1}, "background": {"every": "planned", "max_age_s": 120.0}, "verification": {"replicates": "planned", "most": 16, "confidence": 0.95, "noise": "known"}, "stop": {"rounds": null, "exams": 20}, "approval": null, "suspend": {"background": {}, "patch": null, "failures": null, "window": 20, "free_mb": 50.0, "quiet": [], "timezone": "UTC", "hold_off_s": 600.0, "resume": "automatic"}, "extra": 0, "history": null, "fitting": null}','{"python": "3.11.7", "sdl": "0.1.0", "numpy": "2.4.6", "scipy": "1.17.1", "scikit-learn": "1.9.1", "gmr": "2.0.3", "pydantic": "2.14.3", "SQLAlchemy": "2.0.58", "requests": "2.34.2", "prefect": "3.8.8"}','FINISHED','every target is settled','run',1.79597057040890836711e+09,1.79597057949361920358e+09);
INSERT INTO "campaigns" VALUES(2,'broken-off','broken off','twin-7','{"knobs": [{"name": "R", "low": 0.0, "high": 1.0, "off": null, "unit": "duty", "resolution": null}, {"name": "G", "low": 0.0, "high": 1.0, "off": null, "unit": "duty", "resolution": null}, {"name": "B", "low": 0.0, "high": 1.0, "off": null, "unit": "duty", "resolution": null}], "channels": [{"name": "415nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 4.9, "integral": true}, {"name": "445nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 73.8, "integral": true}, {"name": "480nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 42.4, "integral": true}, {"name": "515nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 131.7, "integral": true}, {"name": "555nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 35.3, "integral": true}, {"name": "590nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 39.1, "integral": true}, {"name": "630nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 72.5, "integral": true}, {"name": "680nm", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 8.0, "integral": true}, {"name": "clear", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 521.6, "integral": true}, {"name": "nir", "unit": "counts", "floor": 0.0, "ceiling": 65535.0, "noise": 26.0, "integral": true}]}','{"name": "broken off", "seed": 1, "budget": 100, "instrument": {"plugin": "twin", "seed": 7, "daylight": 1500.0, "memory_h": 1.0}, "targets": [{"name": "white", "readings": {"445nm": 16384.0, "515nm": 16384.0, "630nm": 16384.0}, "tolerance": "1 %"}], "design": {"plugin": "maximin-latin-hypercube", "n": null}, "models": [{"plugin": "linear"}, {"plugin": "mixture"}], "acquisition": {"plugin": "uncertainty", "n": 4, "rounds": 1}, "background": {"every": "planned", "max_age_s": 120.0}, "verification": {"replicates": "planned", "most": 16, "confidence": 0.95, "noise": "known"}, "stop": {"rounds": null, "exams": 20}, "approval": null, "suspend": {"background": {}, "patch": null, "failures": null, "window": 20, "free_mb": 50.0, "quiet": [], "timezone": "UTC", "hold_off_s": 600.0, "resume": "automatic"}, "extra": 0, "history": null, "fitting": null}','{"python": "3.11.7", "sdl": "0.1.0", "numpy": "2.4.6", "scipy": "1.17.1", "scikit-learn": "1.9.1", "gmr": "2.0.3", "pydantic": "2.14.3", "SQLAlchemy": "2.0.58", "requests": "2.34.2", "prefect": "3.8.8"}','RUNNING','','run',1.79597058020210385322e+09,1.79597058039127969739e+09);
CREATE TABLE changes (
	id INTEGER NOT NULL, 
	campaign INTEGER NOT NULL, 
	sent INTEGER NOT NULL, 
	"before" JSON NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(campaign) REFERENCES campaigns (id)
);
CREATE TABLE exams (
	campaign INTEGER NOT NULL, 
	round INTEGER NOT NULL, 
	target VARCHAR NOT NULL, 
	settings JSON NOT NULL, 
	model VARCHAR NOT NULL, 
	replicates INTEGER NOT NULL, 
	background JSON NOT NULL, 
	uncertainty JSON NOT NULL, 
	looks JSON, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (campaign, round), 
	FOREIGN KEY(campaign) REFERENCES campaigns (id)
);
INSERT INTO "exams" VALUES(1,1,'white','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]','linear',5,'[null, 1877.0, null, 3600.0, null, null, 5841.0, null, null, null]','[null, 58.77015013796987, null, 115.91922993936458, null, null, 81.35748383092579, null, null, null]','[[3, 0.02323790007685289, 0.023237900077244522], [4, 0.025435512254705375, 0.01253918756275215], [5, 0.03325077583790998, 0.014222912360003372]]',1.79597057669243836399e+09);
INSERT INTO "exams" VALUES(1,2,'white','[0.3437362180897816, 0.19343553485629475, 0.47633567759043555]','linear',5,'[null, 1833.0, null, 3517.0, null, null, 5718.0, null, null, null]','[null, 35.90636950119094, null, 66.26617893385729, null, null, 65.20397014246747, null, null, null]','[[3, 0.02323790007685289, 0.023237900077244522], [4, 0.025435512254705375, 0.01253918756275215], [5, 0.03325077583790998, 0.014222912360003372]]',1.79597057878192281716e+09);
INSERT INTO "exams" VALUES(2,1,'white','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]','linear',5,'[null, 1877.0, null, 3600.0, null, null, 5841.0, null, null, null]','[null, 58.77015013796987, null, 115.91922993936458, null, null, 81.35748383092579, null, null, null]','[[3, 0.02323790007685289, 0.023237900077244522], [4, 0.025435512254705375, 0.01253918756275215], [5, 0.03325077583790998, 0.014222912360003372]]',1.79597058354139137268e+09);
CREATE TABLE findings (
	id INTEGER NOT NULL, 
	campaign INTEGER NOT NULL, 
	round INTEGER NOT NULL, 
	target VARCHAR NOT NULL, 
	verdict VARCHAR NOT NULL, 
	sentence TEXT NOT NULL, 
	settings JSON, 
	facts JSON NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (campaign, round, target), 
	FOREIGN KEY(campaign) REFERENCES campaigns (id)
);
INSERT INTO "findings" VALUES(1,1,1,'white','INCONCLUSIVE','neither within nor beyond the tolerance: 515nm 16335 ± 129 for 16384 ± 164, 630nm 16224 ± 71 for 16384 ± 164; broken off after 4 of 5 replicates','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]','{"channels": ["445nm", "515nm", "630nm"], "model": "linear", "background": [1877.0, 3600.0, 5841.0], "target": [16384.0, 16384.0, 16384.0], "tolerance": [163.84, 163.84, 163.84], "mean": [16318.75, 16334.75, 16224.5], "margin": [72.04969122711329, 128.5764814987916, 70.78052322446766], "replicates": 4, "planned": 5, "confidence": 0.95, "noise": [73.8, 131.7, 72.5]}',1.79597057752249288564e+09);
INSERT INTO "findings" VALUES(2,1,2,'white','VERIFIED','within the tolerance: 445nm 16446 ± 85 for 16384 ± 164, 515nm 16377 ± 151 for 16384 ± 164, 630nm 16446 ± 83 for 16384 ± 164','[0.3437362180897816, 0.19343553485629475, 0.47633567759043555]','{"channels": ["445nm", "515nm", "630nm"], "model": "linear", "background": [1833.0, 3517.0, 5718.0], "target": [16384.0, 16384.0, 16384.0], "tolerance": [163.84, 163.84, 163.84], "mean": [16446.0, 16377.0, 16446.0], "margin": [84.83539535595864, 151.39324618400747, 83.34100492285909], "replicates": 3, "planned": 5, "confidence": 0.95, "noise": [73.8, 131.7, 72.5]}',1.79597057919223427775e+09);
CREATE TABLE leases (
	instrument VARCHAR NOT NULL, 
	token INTEGER NOT NULL, 
	owner VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	process VARCHAR NOT NULL, 
	since FLOAT NOT NULL, 
	beat INTEGER NOT NULL, 
	beat_at FLOAT NOT NULL, 
	PRIMARY KEY (instrument)
);
INSERT INTO "leases" VALUES('twin-7',2,'','vm','process 30614@211822',1.79597057984885430338e+09,1,1.79597058193991613393e+09);
CREATE TABLE notices (
	id INTEGER NOT NULL, 
	campaign INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	sent INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(campaign) REFERENCES campaigns (id)
);
CREATE TABLE requests (
	id INTEGER NOT NULL, 
	campaign INTEGER NOT NULL, 
	round INTEGER NOT NULL, 
	idx INTEGER NOT NULL, 
	replicate INTEGER NOT NULL, 
	purpose VARCHAR NOT NULL, 
	settings JSON NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (campaign, round, idx, replicate), 
	FOREIGN KEY(campaign) REFERENCES campaigns (id)
);
INSERT INTO "requests" VALUES(1,1,0,0,0,'reference','[0.0, 0.0, 0.0]');
INSERT INTO "requests" VALUES(2,1,0,1,0,'design','[0.1, 0.3, 0.7]');
INSERT INTO "requests" VALUES(3,1,0,2,0,'design','[0.5, 0.9, 0.9]');
INSERT INTO "requests" VALUES(4,1,0,3,0,'design','[0.7, 0.1, 0.5]');
INSERT INTO "requests" VALUES(5,1,0,4,0,'design','[0.3, 0.5, 0.1]');
INSERT INTO "requests" VALUES(6,1,0,5,0,'design','[0.9, 0.7, 0.3]');
INSERT INTO "requests" VALUES(7,1,1,0,0,'reference','[0.0, 0.0, 0.0]');
INSERT INTO "requests" VALUES(8,1,1,1,0,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
INSERT INTO "requests" VALUES(9,1,1,1,1,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
INSERT INTO "requests" VALUES(10,1,1,1,2,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
INSERT INTO "requests" VALUES(11,1,1,1,3,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
INSERT INTO "requests" VALUES(12,1,1,1,4,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
INSERT INTO "requests" VALUES(13,1,2,0,0,'reference','[0.0, 0.0, 0.0]');
INSERT INTO "requests" VALUES(14,1,2,1,0,'verification','[0.3437362180897816, 0.19343553485629475, 0.47633567759043555]');
INSERT INTO "requests" VALUES(15,1,2,1,1,'verification','[0.3437362180897816, 0.19343553485629475, 0.47633567759043555]');
INSERT INTO "requests" VALUES(16,1,2,1,2,'verification','[0.3437362180897816, 0.19343553485629475, 0.47633567759043555]');
INSERT INTO "requests" VALUES(17,1,2,1,3,'verification','[0.3437362180897816, 0.19343553485629475, 0.47633567759043555]');
INSERT INTO "requests" VALUES(18,1,2,1,4,'verification','[0.3437362180897816, 0.19343553485629475, 0.47633567759043555]');
INSERT INTO "requests" VALUES(19,2,0,0,0,'reference','[0.0, 0.0, 0.0]');
INSERT INTO "requests" VALUES(20,2,0,1,0,'design','[0.1, 0.3, 0.7]');
INSERT INTO "requests" VALUES(21,2,0,2,0,'design','[0.5, 0.9, 0.9]');
INSERT INTO "requests" VALUES(22,2,0,3,0,'design','[0.7, 0.1, 0.5]');
INSERT INTO "requests" VALUES(23,2,0,4,0,'design','[0.3, 0.5, 0.1]');
INSERT INTO "requests" VALUES(24,2,0,5,0,'design','[0.9, 0.7, 0.3]');
INSERT INTO "requests" VALUES(25,2,1,0,0,'reference','[0.0, 0.0, 0.0]');
INSERT INTO "requests" VALUES(26,2,1,1,0,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
INSERT INTO "requests" VALUES(27,2,1,1,1,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
INSERT INTO "requests" VALUES(28,2,1,1,2,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
INSERT INTO "requests" VALUES(29,2,1,1,3,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
INSERT INTO "requests" VALUES(30,2,1,1,4,'verification','[0.3371202663191386, 0.1920750774270787, 0.47392962117035753]');
CREATE TABLE rounds (
	campaign INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	target VARCHAR, 
	facts JSON NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (campaign, number), 
	FOREIGN KEY(campaign) REFERENCES campaigns (id)
);
INSERT INTO "rounds" VALUES(1,0,'design',NULL,'{}',1.79597057180142903329e+09);
INSERT INTO "rounds" VALUES(1,1,'exam','white','{"model": "linear", "chosen": "the first of the campaign that can be fitted; 5 settings are too few to compare models by, which takes 10", "scores": {}, "held out": 0, "asked": 0, "missed": [81.5521217327665, 159.3415970743895, 36.63410840971988], "skipped": {}, "rows": 5, "target": "white", "chance of passing": 0.20359870608890507, "uncertainty": {"445nm": 61.335750259618024, "515nm": 122.58022767928672, "630nm": 84.63796920214479}, "refused draws": 0.0, "candidates": [{"settings": {"R": 0.33232, "G": 0.191, "B": 0.47263}, "share": 1.0}], "parity": {"channels": ["445nm", "515nm", "630nm"], "train": {"measured": [[21336.0, 19573.0, 3993.0], [27633.0, 58084.0, 16490.0], [15345.0, 7235.0, 21005.0], [3289.0, 31760.0, 9433.0], [9445.0, 45041.0, 27299.0]], "predicted": [[21330.384415988712, 19671.413489508635, 3974.3421381001112], [27645.61204556435, 57994.28781917514, 16508.46455276362], [15324.242375607813, 7235.671983303155, 21000.899653201246], [3234.9100014039, 31850.822196407455, 9406.404500874232], [9472.791865728663, 45049.10784308186, 27302.83699979262]]}, "test": {"measured": [[21336.0, 19573.0, 3993.0], [27633.0, 58084.0, 16490.0], [15345.0, 7235.0, 21005.0], [3289.0, 31760.0, 9433.0], [9445.0, 45041.0, 27299.0]], "predicted": [[21324.68770308977, 19771.248768259087, 3955.4147242571157], [27670.038949025176, 57820.53402411573, 16544.226542799475], [15210.20669581808, 7239.363642393454, 20978.373673072972], [3210.018128103825, 31892.617993495387, 9394.16542134432], [9530.711843107016, 45066.00509253152, 27310.833546097194]]}}}',1.79597057617363953588e+09);
INSERT INTO "rounds" VALUES(1,2,'exam','white','{"model": "linear", "chosen": "the first of the campaign that can be fitted; 6 settings are too few to compare models by, which takes 10", "scores": {}, "held out": 0, "asked": 0, "missed": [89.84159122359021, 150.83556317570424, 155.7539853990316], "skipped": {}, "rows": 9, "target": "white", "chance of passing": 0.2548285044698311, "uncertainty": {"445nm": 39.05119507028927, "515nm": 71.90484009732938, "630nm": 71.73208779596034}, "refused draws": 0.0, "candidates": [{"settings": {"R": 0.34331, "G": 0.19273, "B": 0.47551}, "share": 1.0}], "parity": {"channels": ["445nm", "515nm", "630nm"], "train": {"measured": [[21344.0, 19588.666666666668, 4019.333333333333], [27649.0, 58115.333333333336, 16542.666666666668], [15369.0, 7282.0, 21084.0], [3321.0, 31822.666666666668, 9538.333333333332], [9485.0, 45119.333333333336, 27430.666666666668], [14481.0, 12845.0, 10386.0], [14431.0, 12671.0, 10485.0], [14323.0, 12746.0, 10351.0], [14532.0, 12677.0, 10312.0]], "predicted": [[21301.523879793127, 19633.426360897767, 3891.689525912408], [27651.905555614514, 58017.748882430256, 16536.600287766378], [15300.490212242614, 7217.873153444984, 20941.847510636988], [3268.9580855914783, 31908.0759866945, 9512.200851837884], [9512.712022505943, 45129.03898748206, 27435.409574248428], [14472.468442038653, 12775.422794088296, 10471.633455455494], [14472.468442038653, 12775.422794088296, 10471.633455455494], [14472.468442038653, 12775.422794088296, 10471.633455455494], [14472.468442038653, 12775.422794088296, 10471.633455455494]]}, "test": {"measured": [[21344.0, 19588.666666666668, 4019.333333333333], [27649.0, 58115.333333333336, 16542.666666666668], [15369.0, 7282.0, 21084.0], [3321.0, 31822.666666666668, 9538.333333333332], [9485.0, 45119.333333333336, 27430.666666666668], [14481.0, 12845.0, 10386.0], [14431.0, 12671.0, 10485.0], [14323.0, 12746.0, 10351.0], [14532.0, 12677.0, 10312.0]], "predicted": [[21317.288946736877, 19756.759537067966, 3931.0604845954754], [27656.581635989227, 57860.70052532142, 16526.83730984236], [15212.620944673978, 7135.625357579181, 20759.52560405609], [3248.258639408615, 31942.04717402544, 9501.806770442381], [9570.187068686046, 45149.168623284844, 27445.246417886654], [14494.1125364524, 12852.458419477385, 10530.964977860795], [14494.1125364524, 12852.458419477385, 10530.964977860795], [14494.1125364524, 12852.458419477385, 10530.964977860795], [14494.1125364524, 12852.458419477385, 10530.964977860795]]}}}',1.7959705781423289776e+09);
INSERT INTO "rounds" VALUES(2,0,'design',NULL,'{}',1.79597058134004521371e+09);
INSERT INTO "rounds" VALUES(2,1,'exam','white','{"model": "linear", "chosen": "the first of the campaign that can be fitted; 5 settings are too few to compare models by, which takes 10", "scores": {}, "held out": 0, "asked": 0, "missed": [81.5521217327665, 159.3415970743895, 36.63410840971988], "skipped": {}, "rows": 5, "target": "white", "chance of passing": 0.20359870608890507, "uncertainty": {"445nm": 61.335750259618024, "515nm": 122.58022767928672, "630nm": 84.63796920214479}, "refused draws": 0.0, "candidates": [{"settings": {"R": 0.33232, "G": 0.191, "B": 0.47263}, "share": 1.0}], "parity": {"channels": ["445nm", "515nm", "630nm"], "train": {"measured": [[21336.0, 19573.0, 3993.0], [27633.0, 58084.0, 16490.0], [15345.0, 7235.0, 21005.0], [3289.0, 31760.0, 9433.0], [9445.0, 45041.0, 27299.0]], "predicted": [[21330.384415988712, 19671.413489508635, 3974.3421381001112], [27645.61204556435, 57994.28781917514, 16508.46455276362], [15324.242375607813, 7235.671983303155, 21000.899653201246], [3234.9100014039, 31850.822196407455, 9406.404500874232], [9472.791865728663, 45049.10784308186, 27302.83699979262]]}, "test": {"measured": [[21336.0, 19573.0, 3993.0], [27633.0, 58084.0, 16490.0], [15345.0, 7235.0, 21005.0], [3289.0, 31760.0, 9433.0], [9445.0, 45041.0, 27299.0]], "predicted": [[21324.68770308977, 19771.248768259087, 3955.4147242571157], [27670.038949025176, 57820.53402411573, 16544.226542799475], [15210.20669581808, 7239.363642393454, 20978.373673072972], [3210.018128103825, 31892.617993495387, 9394.16542134432], [9530.711843107016, 45066.00509253152, 27310.833546097194]]}}}',1.79597058303005266194e+09);
CREATE INDEX ix_findings_campaign ON findings (campaign);
CREATE INDEX ix_changes_campaign ON changes (campaign);
CREATE INDEX ix_notices_campaign ON notices (campaign);
CREATE INDEX ix_attempts_campaign ON attempts (campaign);
COMMIT;

(function(){
var k=9,d=document;
try{k=+sessionStorage.whoopsie||0;sessionStorage.whoopsie=k+1}catch(e){}
function again(){d.hidden?d.addEventListener('visibilitychange',again,{once:true}):location.reload()}
if(k<5)setTimeout(again,(1+Math.random())*@AUTO_RETRY@e3*Math.pow(2,k))
})();
